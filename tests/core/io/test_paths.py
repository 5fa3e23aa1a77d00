"""What lies in folders, each thing under a name of its own."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import InputError
from core.io.paths import Skipped, find_all, summary


@dataclass(frozen=True)
class Thing:
    """Something found."""

    id: str
    path: Path


def find(path: Path) -> tuple[list[Thing], list[Skipped]]:
    """Every letter of the name is a thing; a folder "none" has no thing."""
    if path.name == "none":
        raise InputError("nothing here", path=path)
    return [Thing(letter, path) for letter in path.name], [Skipped(path, "is a folder")]


def test_things_of_several_paths_get_ids_of_their_own_in_order():
    first, second = Path("ab"), Path("bc")
    things, skipped = find_all([first, second], find)
    assert [(t.id, t.path) for t in things] == [
        ("a", first),
        ("b", first),
        ("b-2", second),
        ("c", second),
    ]
    assert skipped == [Skipped(first, "is a folder"), Skipped(second, "is a folder")]


def test_one_path_keeps_its_ids():
    things, _ = find_all([Path("abc")], find)
    assert [t.id for t in things] == ["a", "b", "c"]


def test_a_path_without_anything_is_refused_whatever_the_others_hold():
    with pytest.raises(InputError, match="none: nothing here"):
        find_all([Path("ab"), Path("none")], find)


def test_three_reasons_are_told_and_the_rest_counted():
    skipped = [Skipped(Path(f"x/{n}"), f"why {n}") for n in range(5)]
    assert summary(skipped) == "0: why 0, 1: why 1, 2: why 2 … and 2 more"
    assert summary(skipped[:1]) == "0: why 0"
