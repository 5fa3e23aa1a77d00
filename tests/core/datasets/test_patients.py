"""Patients of a table, their folders and masks, and what does not fit together."""

from pathlib import Path

import pytest

from core.datasets.patients import read_patients
from tests.refusals import refused

ROWS = "patient,tumor,tumor_type\np1,1,PDAC\np2,0,\np3,,\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "patients.csv").write_text(ROWS)
    for name in ("p1", "p3"):
        (tmp_path / "patients" / name).mkdir(parents=True)
    (tmp_path / "patients" / "p2.zip").touch()
    (tmp_path / "masks" / "p1").mkdir(parents=True)
    for name in ("p1/arterial.nii.gz", "p1/venous.nii", "p2.nii.gz"):
        (tmp_path / "masks" / name).touch()
    return tmp_path


def test_patients_have_their_files_their_tumor_and_their_masks(root):
    first, second, third = read_patients(root).patients
    assert (first.id, first.study, first.tumor, first.tumor_type) == (
        "p1",
        root / "patients" / "p1",
        True,
        "PDAC",
    )
    assert {mask.phase: mask.path for mask in first.masks} == {
        "arterial": root / "masks" / "p1" / "arterial.nii.gz",
        "venous": root / "masks" / "p1" / "venous.nii",
    }
    assert (second.study.name, second.tumor) == ("p2.zip", False)
    (mask,) = second.masks
    assert (mask.phase, mask.path) == ("arterial", root / "masks" / "p2.nii.gz")
    assert (third.tumor, third.tumor_type, third.masks) == (None, "", ())


def test_what_is_on_one_side_only_is_named(root):
    (root / "patients" / "p1").rename(root / "patients" / "p9")
    skipped = {s.path.name: s.reason for s in read_patients(root).skipped}
    assert skipped == {"p1": "in patients.csv, but not there", "p9": "not in patients.csv"}
    (root / "masks" / "p8.nii.gz").touch()
    skipped = {s.path.name: s.reason for s in read_patients(root).skipped}
    assert skipped["p8.nii.gz"] == "not in patients.csv"


def test_a_damaged_table_is_refused(root):
    table = root / "patients.csv"
    table.write_text("patient,label\np1,1\n")
    with refused(table, "column tumor"):
        read_patients(root)
    table.write_text("patient,tumor\np1,yes\n")
    with refused(table, "'p1'", "'yes'"):
        read_patients(root)
    table.write_text("patient,tumor\np1,1\np1,0\n")
    with refused(table, "'p1'", hint="keep one"):
        read_patients(root)
    table.write_text("patient,tumor\nq,1\n")
    with refused(root, "patients.csv", "patients/"):
        read_patients(root)


@pytest.mark.parametrize("in_table", ["Jos\u00e9", "Jose\u0301"])
@pytest.mark.parametrize("on_disk", ["Jos\u00e9", "Jose\u0301"])
@pytest.mark.parametrize("mask", ["{}/arterial.nii.gz", "{}.nii.gz"])
def test_a_patient_is_one_in_whichever_form_the_name_is_written(root, in_table, on_disk, mask):
    with (root / "patients.csv").open("a", encoding="utf-8") as file:
        file.write(f"{in_table},1,\n")
    (root / "patients" / on_disk).mkdir()
    path = root / "masks" / mask.format(on_disk)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    read = read_patients(root)
    assert read.skipped == ()
    assert (read.patients[-1].id, read.patients[-1].study.name) == ("Jos\u00e9", on_disk)
    assert [m.path for m in read.patients[-1].masks] == [path]


def test_what_lies_beside_the_patients_is_named(root):
    for name in ("p1.zip", "p3.ZIP", "p2.tar.gz"):
        (root / "patients" / name).touch()
    patients, skipped = read_patients(root)
    assert [p.study.name for p in patients] == ["p1", "p2.zip", "p3"]
    assert {s.path.name: s.reason for s in skipped} == {
        "p1.zip": "p1 is used for this patient",
        "p3.ZIP": "p3 is used for this patient",
        "p2.tar.gz": "neither a folder nor a .zip of a patient",
    }


def test_an_archive_in_capitals_is_one(root):
    (root / "patients" / "p3").rmdir()
    (root / "patients" / "p3.ZIP").touch()
    assert [p.study.name for p in read_patients(root).patients] == ["p1", "p2.zip", "p3.ZIP"]
