"""What can be measured: the suites, what they consist of, and groups of them that fit a machine."""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from typing import NamedTuple

from benchmarks.harness import Row


class Item(NamedTuple):
    """Something that is measured by itself.

    Args:
      title: with its shapes; `--only` looks for words in it.
      file: of results, without its ending.
      measure: number of turns → rows.
      groups: those that it belongs to.
    """

    title: str
    file: str
    measure: Callable[[int], Iterable[Row]]
    groups: tuple[str, ...] = ("cpu", "gpu")


class Group(NamedTuple):
    """Suites in the order in which they run, and the minutes after which nothing more begins."""

    suites: Sequence[str]
    minutes: float


SUITES = ("kernels", "step", "loader", "case", "augment", "memory", "scaling")
GROUPS = {
    "cpu": Group(("case", "memory", "scaling", "loader", "augment", "step", "kernels"), 28.5),
    # A job of ten minutes; the last item may take one of them.
    "gpu": Group(("case", "augment", "memory", "step", "kernels"), 8.5),
}


def items(suite: str) -> list[Item]:
    """What a suite consists of; imports no more than it needs."""
    return import_module(f"benchmarks.{suite}").items()


def chosen(names: Sequence[str], only: str) -> list[Item]:
    """Items of suites and groups whose title has `only` in it, each once."""
    found: dict[tuple[str, str], Item] = {}
    for name in names:
        group = GROUPS.get(name)
        for suite in group.suites if group else (name,):
            for item in items(suite):
                if only in item.title and (group is None or name in item.groups):
                    found.setdefault((item.file, item.title), item)
    return list(found.values())
