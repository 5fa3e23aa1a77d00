"""HU, positions and directions of every CT at hand, as SimpleITK (GDCM) reads the same files.

It takes the shared images and the test files inside pydicom and highdicom. Where the two differ,
`DIFFERENCES` says who is right.
"""

import os
from functools import cache
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from core.errors import InputError
from core.io.dicom.elements import NotUsedError
from core.io.dicom.geometry import normal
from core.io.dicom.header import read_frames
from core.io.dicom.pixels import read_hu
from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.warnings import quiet
from core.io.hu import AIR_HU
from core.io.inventory import find_scans
from core.io.scans import Scan, read_scan

pytestmark = pytest.mark.parity
sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not installed: make peers")

PACKAGES = [Path(pydicom.__file__).parent / "data", Path(highdicom.__file__).parent]
SHARED = ["ct_abdomen", "dicom_cases", "field_cases"]  # elsewhere are pictures alone
NEAR_MM, NEAR = 1e-3, 1e-4  # DICOM writes positions and cosines as decimals

# Part of a path: what differs, and who is right.
DIFFERENCES = {
    "ct_high_bit_15": "12 bits are stored in bits 4 to 15 (PS3.5, 8.1.1): GDCM takes bits 0 to 11. "
    "We equal the values that were written, in truth.npy",
}


@cache
def roots() -> list[Path]:
    beside = Path(__file__).parents[3] / "shared" / "data"
    shared = Path(os.environ.get("PANJAX_DATA", beside))
    return [*(shared / name for name in SHARED if (shared / name).is_dir()), *PACKAGES]


@cache
def scans() -> list[Scan]:
    """DICOM series of two slices or more, of every root that has one."""
    found: list[Scan] = []
    for root in roots():
        try:
            found += find_scans(root, min_slices=2)[0]
        except InputError:
            continue  # it has none
    return [scan for scan in found if scan.kind == "dicom"]


@cache
def images() -> list[tuple[SliceHeader, ...]]:
    """Images of every file that is CT in HU, in a series that is a volume or not."""
    found: list[tuple[SliceHeader, ...]] = []
    for path in (p for root in roots() for p in sorted(root.rglob("*")) if p.is_file()):
        try:
            with quiet():
                found.append(read_frames(path))
        except NotUsedError:
            continue
    return found


def equal_hu(ours, theirs, frames) -> bool:
    """Whether HU agree outside of padding, which they keep and we turn into air."""
    differs = ours != theirs
    for k, frame in enumerate(frames):
        slope, intercept = frame.rescale or (1, 0)
        for wrapped in (0, 0x10000) if frame.padding else ():  # 63536 is -2000 where it is signed
            low, high = ((p - wrapped) * slope + intercept for p in frame.padding)
            differs[k] &= ~((theirs[k] >= low) & (theirs[k] <= high) & (ours[k] == AIR_HU))
    return not differs.any()


def known(path: Path) -> bool:
    return any(part in path.as_posix() for part in DIFFERENCES)


def theirs_of(files):
    """SimpleITK's image of files in their order, and its HU (D, H, W)."""
    image = sitk.ReadImage([str(file) for file in files] if len(files) > 1 else str(files[0]))
    array = sitk.GetArrayFromImage(image)
    return image, array


def test_there_is_something_to_compare():
    assert len(images()) >= 10  # the test files of pydicom alone


def test_every_volume_is_where_and_what_simpleitk_says():
    wrong = []
    for scan in scans():
        volume, (image, theirs) = read_scan(scan), theirs_of(scan.files)
        placed = [
            np.allclose(image.GetOrigin(), volume.origin_mm, rtol=0, atol=NEAR_MM),
            np.allclose(image.GetSpacing()[::-1], volume.spacing_mm, rtol=0, atol=NEAR_MM),
            np.allclose(_columns(image)[:, ::-1], volume.direction, rtol=0, atol=NEAR),
        ]
        if not all(placed) or equal_hu(volume.array, theirs, scan.frames) == known(scan.path):
            wrong.append((scan.id, placed))
    assert wrong == []


def test_every_image_is_where_and_what_simpleitk_says():
    wrong = []
    for frames in images():
        ours, (image, theirs) = read_hu(frames), theirs_of([frames[0].path])
        columns, first = _columns(image), frames[0]
        placed = [
            np.allclose(image.GetOrigin(), first.position_mm, rtol=0, atol=NEAR_MM),
            np.allclose(image.GetSpacing()[1::-1], first.spacing_mm, rtol=0, atol=NEAR_MM),
            np.allclose(columns[:, :2].T.ravel(), first.orientation, rtol=0, atol=NEAR),
            np.allclose(columns[:, 2], normal(first), rtol=0, atol=NEAR),
        ]
        if not all(placed) or equal_hu(ours, theirs, frames) == known(first.path):
            wrong.append((first.path, placed))
    assert wrong == []


def _columns(image):
    """Directions (3, 3) of x, y and z of an image, as columns."""
    return np.array(image.GetDirection()).reshape(3, 3)


def test_every_known_difference_is_one():
    files = [frames[0].path.as_posix() for frames in images()]
    if any("field_cases" in file for file in files):
        assert [part for part in DIFFERENCES if not any(part in file for file in files)] == []
