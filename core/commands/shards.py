"""A cohort in shards: as many calls as there are machines, each working on some of the cases."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from core.errors import InputError

T = TypeVar("T")


class Shard(NamedTuple):
    """Every `count`-th case, from `index` on."""

    index: int
    count: int

    @property
    def name(self) -> str:
        """Part of a file's name."""
        return f"{self.index}of{self.count}"

    def of(self, cases: Sequence[T]) -> list[T]:
        """Its cases.

        >>> Shard(1, 3).of("abcdefgh")
        ['b', 'e', 'h']
        """
        return list(cases[self.index :: self.count])


WHOLE = Shard(0, 1)


def shard_of(text: str | None) -> Shard:
    """What `--shard K/N` asks for; everything without it.

    Raises:
      InputError: no two whole numbers, or K is not one of 0 to N − 1.
    """
    if text is None:
        return WHOLE
    index, slash, count = text.partition("/")
    if slash and index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return Shard(int(index), int(count))
    raise InputError(f"--shard must be K/N with K from 0 to N - 1, such as 0/4; got {text!r}")
