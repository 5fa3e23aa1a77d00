from dataclasses import replace

import pytest

from core.io.dicom.acquisition import Acquisition
from core.io.dicom.header import read_frames
from core.io.scans import Scan
from core.screening.reconstructions import redundant as redundant_by
from core.screening.series import Series
from tests.core.io.dicom.make import save, slices

BASE = Acquisition(
    kernel="B30f", thickness_mm=3.0, frame_of_reference="1.2", acquired_s=100.0, image_type=()
)


def redundant(candidates):
    """Where slices of 3 to 5 mm are wanted."""

    def off_mm(series):
        thickness = series.acquisition.thickness_mm or 0.0
        return max(3.0 - thickness, thickness - 5.0, 0.0)

    return redundant_by(candidates, off_mm)


@pytest.fixture
def frames(tmp_path):
    folder = save(tmp_path, slices(), order=range(10))
    return tuple(f for path in sorted(folder.iterdir()) for f in read_frames(path))


def candidate(frames, name, *, phase="venous", **changes):
    scan = Scan(name, frames[0].path.parent, "dicom", (), "", frames)
    return Series(scan, phase, "", name, replace(BASE, **changes))


@pytest.mark.parametrize(
    "worse",
    [
        {"kernel": "B60f"},
        {"kernel": ""},
        {"kernel": "BONE"},
        {"description": "Abdomen LUNG 1.0"},
        {"image_type": ("DERIVED", "SECONDARY", "AXIAL")},
        {"thickness_mm": 1.0},
        {"thickness_mm": 7.0},
        {"thickness_mm": None},
    ],
)
def test_the_better_reconstruction_is_kept_whatever_the_order(frames, worse):
    good, bad = candidate(frames, "b"), candidate(frames, "a", **worse)
    assert redundant([good, bad]) == redundant([bad, good]) == {"a": "b"}


def test_of_two_equal_in_rank_the_name_decides(frames):
    pair = [candidate(frames, "a"), candidate(frames, "b", acquired_s=114.0)]
    assert redundant(pair) == redundant(pair[::-1]) == {"b": "a"}


def test_the_kernel_decides_before_thickness_and_slices_before_the_path(frames):
    soft_thin = candidate(frames, "b", thickness_mm=1.0)
    assert redundant([candidate(frames, "a", kernel="B70s"), soft_thin]) == {"a": "b"}
    assert redundant([candidate(frames[:9], "a"), candidate(frames, "b")]) == {"a": "b"}


@pytest.mark.parametrize(
    "other",
    [
        {"frame_of_reference": "1.3"},
        {"phase": "arterial"},
        {"acquired_s": 130.0},
        {"phase": "arterial", "acquired_s": None},
    ],
)
def test_another_acquisition_is_kept(frames, other):
    assert redundant([candidate(frames, "a"), candidate(frames, "b", **other)]) == {}


def test_without_times_series_of_unknown_phase_are_kept(frames):
    for phase, left_out in (("unknown", {}), ("venous", {"b": "a"})):
        pair = [candidate(frames, name, phase=phase, acquired_s=None) for name in "ab"]
        assert redundant(pair) == left_out
    pair = [candidate(frames, name, phase="unknown") for name in "ab"]
    assert redundant(pair) == {"b": "a"}


def test_two_parts_of_the_body_are_kept(frames):
    # Heights 0 to 5 and 4 to 9: one slice step of five is shared.
    assert redundant([candidate(frames[:6], "a"), candidate(frames[4:], "b")]) == {}
    assert redundant([candidate(frames[:6], "a"), candidate(frames[2:], "b")]) == {"a": "b"}


def test_nifti_files_have_no_frame_of_reference_and_are_kept(frames):
    pair = [candidate(frames, name) for name in "ab"]
    assert redundant([replace(c, scan=replace(c.scan, kind="nifti")) for c in pair]) == {}
