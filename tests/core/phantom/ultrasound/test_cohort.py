import hashlib

import numpy as np
import pytest

from core.datasets.duplicates import keep_duplicates_together
from core.datasets.images import read_case, read_images
from core.errors import InputError
from core.phantom.ultrasound.cohort import write_image_cohort

SMALL = {"num_patients": 8, "seed": 0, "shape": (48, 64)}


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_cohort_is_a_data_set_with_patients_stages_and_locations(tmp_path):
    dataset = read_images(write_image_cohort(tmp_path / "set", num_frames=2, **SMALL))
    assert (len(dataset.cases), dataset.skipped, dataset.knows_patients) == (16, (), True)
    assert [c.id for c in dataset.cases[:3]] == ["phantom_000_0", "phantom_000_1", "phantom_001_0"]
    assert {c.patient for c in dataset.cases} == {f"phantom_{n:03d}" for n in range(8)}
    for case in dataset.cases:
        frame, mask = read_case(case)
        assert frame.shape == mask.shape == (48, 64)
        assert mask.any() == (case.stage is not None) == (case.location is not None)
    assert {c.location for c in dataset.cases} >= {"head", "neck", "body", "tail"}


def test_as_dicom_it_is_the_same_pictures_with_their_spacing(tmp_path):
    png, dicom = (
        read_images(write_image_cohort(tmp_path / kind, kind=kind, num_frames=1, **SMALL))
        for kind in ("png", "dicom")
    )
    for a, b in zip(png.cases, dicom.cases, strict=True):
        (drawn, truth), (sent, same) = read_case(a), read_case(b)
        np.testing.assert_array_equal(drawn.array, sent.array)
        np.testing.assert_array_equal(truth, same)
        assert drawn.spacing_mm is None
        assert sent.spacing_mm is not None
        assert 0.5 < sent.spacing_mm[0] < 3
    assert [(a.patient, a.stage) for a in png.cases] == [(b.patient, b.stage) for b in dicom.cases]


@pytest.mark.parametrize("kind", ["png", "dicom"])
def test_equal_calls_write_equal_bytes(tmp_path, kind):
    small = SMALL | {"num_patients": 2, "kind": kind}
    first, again = (digests(write_image_cohort(tmp_path / name, **small)) for name in "ab")
    other = digests(write_image_cohort(tmp_path / "c", **(small | {"seed": 1})))
    assert first == again
    assert first != other


@pytest.mark.parametrize("fraction", [0.0, 0.25, 1.0])
def test_the_share_of_tumors_is_exact(tmp_path, fraction):
    root = write_image_cohort(tmp_path / "set", num_frames=1, tumor_fraction=fraction, **SMALL)
    stages = [case.stage for case in read_images(root).cases]
    assert sum(stage is not None for stage in stages) == 8 * fraction


def test_a_large_cohort_has_groups_to_compare(tmp_path):
    sizes = SMALL | {"num_patients": 40, "shape": (24, 24)}
    cases = read_images(write_image_cohort(tmp_path / "set", num_frames=1, **sizes)).cases
    for groups in ([c.stage for c in cases], [c.location for c in cases]):
        counts = {name: groups.count(name) for name in set(groups) - {None}}
        assert len(counts) == 4
        assert min(counts.values()) >= 2


def test_patients_are_no_duplicates_of_each_other(tmp_path):
    root = write_image_cohort(tmp_path / "set", num_patients=10, seed=1, num_frames=2)
    dataset = keep_duplicates_together(read_images(root))
    assert len({case.patient for case in dataset.cases}) == 10


def test_a_folder_with_content_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="already holds something; choose a new folder"):
        write_image_cohort(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_patients": 0}, "num_patients must be positive"),
        ({"num_frames": 0}, "num_frames must be positive"),
        ({"tumor_fraction": 1.5}, "tumor_fraction must lie in"),
        ({"kind": "bmp"}, "kind must be one of"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        write_image_cohort(tmp_path / "set", **{**SMALL, **change})
    assert not (tmp_path / "set").exists()
