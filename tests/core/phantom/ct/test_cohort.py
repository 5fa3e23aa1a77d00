import hashlib
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.datasets import nnunet
from core.errors import InputError
from core.io.nifti import read, read_label
from core.phantom.ct.cohort import write_cohort
from core.phantom.ct.phantom import LABELS, make

PDAC = {"background": 0, "pancreas": 1, "tumor": 2}
SMALL = {"shape": (16, 24, 28), "spacing_mm": (9.0, 9.0, 9.0), "labels": PDAC}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_cohort_is_a_data_set(tmp_path):
    root = write_cohort(tmp_path / "set", num_cases=3, seed=0, **SMALL)
    dataset = nnunet.read_nnunet(root)
    assert dataset.skipped == ()
    assert [case.id for case in dataset.cases] == ["phantom_000", "phantom_001", "phantom_002"]
    assert dataset.label_ids == PDAC
    assert dataset.channels == ("CT",)


def test_files_hold_the_phantom_and_its_geometry(tmp_path):
    root = write_cohort(tmp_path / "set", num_cases=2, seed=0, tumor_fraction=1.0, **SMALL)
    truth = json.loads((root / "cases.json").read_text())["cases"][1]
    phantom = make(
        truth["seed"],
        shape=SMALL["shape"],
        spacing_mm=SMALL["spacing_mm"],
        tumor_diameter_mm=truth["tumor_diameter_mm"],
    )
    image = read(root / "imagesTr" / "phantom_001_0000.nii.gz")
    np.testing.assert_array_equal(image.array, phantom.images["venous"].array)
    np.testing.assert_allclose(image.affine_lps, phantom.label.affine_lps, atol=1e-3)
    stored = nib.loadsave.load(root / "imagesTr" / "phantom_001_0000.nii.gz")
    assert nib.orientations.aff2axcodes(stored.affine) == ("L", "P", "S")
    label = read_label(root / "labelsTr" / "phantom_001.nii.gz").array
    truth_ids = phantom.label.array
    gland = np.isin(truth_ids, [LABELS[name] for name in ("pancreas", "duct", "dilated_duct")])
    np.testing.assert_array_equal(label == 1, gland)  # the duct belongs to the pancreas
    np.testing.assert_array_equal(label == 2, truth_ids == LABELS["tumor"])


def test_a_named_dilated_duct_is_the_part_behind_the_tumor(tmp_path):
    fine = {**SMALL, "labels": {**PDAC, "dilated_duct": 3}}
    whole = {**SMALL, "labels": {**PDAC, "duct": 3}}
    labels = {}
    for name, options in (("dilated", fine), ("whole", whole)):
        root = write_cohort(tmp_path / name, num_cases=2, seed=0, tumor_fraction=0.5, **options)
        cases = json.loads((root / "cases.json").read_text())["cases"]
        sick, healthy = sorted(cases, key=lambda case: case["tumor_diameter_mm"] is None)
        for kind, case in (("sick", sick), ("healthy", healthy)):
            label = read_label(root / "labelsTr" / f"{case['id']}.nii.gz").array
            labels[name, kind] = label == 3
    assert labels["dilated", "sick"].any()
    assert not (labels["dilated", "sick"] & ~labels["whole", "sick"]).any()
    assert not labels["dilated", "healthy"].any()


def test_a_named_duct_is_its_own_class(tmp_path):
    labels = {**PDAC, "duct": 3}
    root = write_cohort(
        tmp_path / "set",
        num_cases=1,
        seed=0,
        tumor_fraction=1.0,
        diameters_mm=(30, 30),
        **(SMALL | {"labels": labels, "shape": (40, 40, 60), "spacing_mm": (4.0, 4.0, 4.0)}),
    )
    assert 3 in read_label(root / "labelsTr" / "phantom_000.nii.gz").array


def test_equal_calls_write_equal_bytes_whatever_the_number_of_processes(tmp_path):
    first, equal = (
        digests(write_cohort(tmp_path / str(n), num_cases=2, seed=5, num_processes=n, **SMALL))
        for n in (1, 2)
    )
    other = digests(write_cohort(tmp_path / "c", num_cases=2, seed=6, **SMALL))
    assert first == equal
    assert first != other


def test_a_longer_cohort_starts_with_the_same_patients(tmp_path):
    short, long = (
        json.loads(
            (
                write_cohort(tmp_path / str(n), num_cases=n, seed=5, **SMALL) / "cases.json"
            ).read_text()
        )
        for n in (1, 3)
    )
    assert short["cases"][0]["seed"] == long["cases"][0]["seed"]


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_the_share_of_tumors_is_exact(tmp_path, fraction):
    tiny = SMALL | {"shape": (2, 2, 2)}
    root = write_cohort(
        tmp_path / "set", num_cases=8, seed=1, tumor_fraction=fraction, diameters_mm=(9, 12), **tiny
    )
    diameters = [
        case["tumor_diameter_mm"] for case in json.loads((root / "cases.json").read_text())["cases"]
    ]
    drawn = [d for d in diameters if d is not None]
    assert len(drawn) == 8 * fraction
    assert all(9 <= d <= 12 for d in drawn)


def test_two_phases_are_two_channels(tmp_path):
    tiny = SMALL | {"shape": (2, 2, 2)}
    root = write_cohort(
        tmp_path / "set", num_cases=1, seed=1, phases=("arterial", "venous"), **tiny
    )
    assert len(nnunet.read_nnunet(root).cases[0].images) == 2


def test_a_folder_with_content_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already holds something"):
        write_cohort(tmp_path, num_cases=1, seed=0, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": {"background": 0, "pancreaz": 1}}, "label name must be one of"),
        ({"phases": ("native",)}, "phase must be one of"),
        ({"tumor_fraction": 1.5}, "tumor_fraction must lie in"),
        ({"num_cases": 0}, "num_cases must be positive"),
        ({"num_processes": 0}, "num_processes must be positive"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, change, message):
    arguments = {"num_cases": 1, "seed": 0, **SMALL, **change}
    with pytest.raises(ValueError, match=message):
        write_cohort(tmp_path / "set", **arguments)
    assert not (tmp_path / "set").exists()
