"""What lies in folders, each thing under a name of its own."""

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import InputError
from core.io.paths import Skipped, find_all, on_disk, summary, unique_ids
from tests.refusals import refused


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


def test_a_path_without_anything_costs_no_other(tmp_path):
    empty, full = tmp_path / "none", tmp_path / "ab"
    empty.mkdir(), full.mkdir()
    things, skipped = find_all([empty, full], find)
    assert [t.id for t in things] == ["a", "b"]
    assert skipped == [Skipped(empty, "nothing here", True), Skipped(full, "is a folder")]


def test_paths_that_are_not_there_or_hold_nothing_at_all_are_refused(tmp_path):
    (tmp_path / "none").mkdir()
    with refused(tmp_path / "none", "nothing here"):
        find_all([tmp_path / "none"], find)
    with pytest.raises(InputError, match="nothing to work on: none: nothing here"):
        find_all([tmp_path / "none"] * 2, find)
    with pytest.raises(InputError, match="none: nothing here"):
        find_all([tmp_path / "none", Path("none")], find)


def test_three_reasons_are_told_and_the_rest_counted():
    skipped = [Skipped(Path(f"x/{n}"), f"why {n}") for n in range(5)]
    assert summary(skipped) == "0: why 0, 1: why 1, 2: why 2 … and 2 more"
    assert summary(skipped[:1]) == "0: why 0"


@pytest.mark.parametrize("letter", ["a", "患", "e\u0301"])
def test_ids_fit_a_file_name_and_stay_apart_however_long_the_names_are(tmp_path, letter):
    names = [letter * 300, letter * 300 + "b", letter * 300, letter]
    ids = unique_ids(names, instead="case")
    assert len(set(ids)) == 4
    assert ids[3] == unicodedata.normalize("NFC", letter)
    for id_ in ids:
        (tmp_path / f"{id_}-2_0000.nii.gz").touch()
    assert unique_ids(ids, instead="case") == ids
    assert unique_ids([names[1]], instead="case") == [ids[1]]  # of the name alone


def test_an_id_that_fits_is_left_as_it_is():
    assert unique_ids(["a" * 240, "患" * 80], instead="case") == ["a" * 240, "患" * 80]


def test_a_name_of_other_bytes_and_one_of_a_mac_give_ids_that_can_be_typed():
    assert unique_ids([os.fsdecode(b"\xb1\xa8ct"), "Jose\u0301"], instead="case") == [
        "ct",
        "Jos\u00e9",
    ]


def test_a_file_is_found_in_whichever_form_the_disk_has_its_name(tmp_path):
    file = tmp_path / "Jose\u0301" / "Ru\u0308ck.nii"
    file.parent.mkdir()
    file.touch()
    typed = tmp_path / "Jos\u00e9" / "R\u00fcck.nii"
    assert on_disk(typed).samefile(file)
    assert on_disk(file) == file
    for absent in (typed.with_name("\u00fc.nii"), tmp_path / "gone" / "\u00e9"):
        assert on_disk(absent).name == absent.name
        assert not on_disk(absent).exists()
