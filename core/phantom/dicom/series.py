"""A phantom as the DICOM study that a hospital would send, with the objects that come along."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from core import check
from core.atomic import aside, new_folder
from core.phantom.ct.phantom import Phantom
from core.phantom.ct.tissue import PHASES
from core.phantom.dicom.documents import write_dose_page, write_report
from core.phantom.dicom.tags import clock, new_object, save, set_pixels, uid
from core.volume import Volume

LOCALIZER, CORONAL, DOSE_PAGE, REPORT = 1, 4, 99, 100  # series numbers
PHASE_SERIES = {"arterial": 2, "venous": 3}
DELAY_S = {"arterial": 40.0, "venous": 70.0}
AXIAL_IOP = [1, 0, 0, 0, 1, 0]
CORONAL_IOP = [1, 0, 0, 0, 0, -1]
CORONAL_STEP_MM = 5.0


def write_dicom_study(
    out: str | Path,
    phantom: Phantom,
    *,
    phases: Sequence[str] = PHASES,
    localizer: bool = False,
    coronal: bool = False,
    dose_page: bool = False,
    report: bool = False,
    names: Mapping[str, str] | None = None,
) -> Path:
    """Write a folder per series, `SE002/IM00001.dcm` from the head down; all of it or nothing.

    Args:
      out: folder to make; equal arguments write equal bytes.
      phantom: in-plane size and spacing are those of its grid.
      phases: axial series to write, "Arterial Phase" and "Venous Phase".
      localizer: add a frontal scout.
      coronal: add a coronal reformat of the last phase.
      dose_page: add the scanner's dose page, a colour screenshot whose Modality says CT.
      report: add a structured report and its encapsulated PDF.
      names: series description by phase, in any language, instead of "Arterial Phase".

    Returns:
      The folder.

    Raises:
      InputError: the folder exists and holds something.
    """
    for phase in phases:
        check.one_of("phase", phase, PHASES)
    out = new_folder(out)
    with aside(out) as folder:
        for phase in phases:
            _write_axial(folder, phantom, phase, (names or {}).get(phase))
        if localizer:
            _write_localizer(folder, phantom)
        if coronal:
            _write_coronal(folder, phantom, phases[-1])
        if dose_page:
            write_dose_page(folder, phantom, DOSE_PAGE)
        if report:
            write_report(folder, phantom, REPORT)
    return out


def _write_axial(folder: Path, phantom: Phantom, phase: str, name: str | None) -> None:
    volume = phantom.images[phase]
    dz, dy, dx = volume.spacing_mm
    for number, d in enumerate(reversed(range(volume.shape[0])), 1):
        ds = _ct_image(phantom, PHASE_SERIES[phase], f"{phase.capitalize()} Phase", number, phase)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        if name is not None:
            ds.SpecificCharacterSet, ds.SeriesDescription = "ISO_IR 192", name
        _place(ds, _position(volume, d, 0, 0), AXIAL_IOP, (dy, dx), dz)
        ds.SliceLocation = ds.ImagePositionPatient[2]
        set_pixels(ds, _stored(volume.array[d]))
        save(ds, folder)


def _write_localizer(folder: Path, phantom: Phantom) -> None:
    """Write a localizer: one frontal projection through the whole volume."""
    volume = phantom.images["arterial"]
    dz, dy, dx = volume.spacing_mm
    ds = _ct_image(phantom, LOCALIZER, "Scout", 1, None)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    depth, height, _ = volume.shape
    _place(ds, _position(volume, depth - 1, height // 2, 0), CORONAL_IOP, (dz, dx), height * dy)
    set_pixels(ds, _stored(volume.array[::-1].mean(1)))
    save(ds, folder)


def _write_coronal(folder: Path, phantom: Phantom, phase: str) -> None:
    volume = phantom.images[phase]
    dz, dy, dx = volume.spacing_mm
    step = max(1, round(CORONAL_STEP_MM / dy))
    top = volume.shape[0] - 1
    for number, h in enumerate(range(0, volume.shape[1], step), 1):
        ds = _ct_image(phantom, CORONAL, f"Coronal {phase.capitalize()}", number, phase)
        ds.ImageType = ["DERIVED", "SECONDARY", "REFORMATTED"]
        _place(ds, _position(volume, top, h, 0), CORONAL_IOP, (dz, dx), step * dy)
        set_pixels(ds, _stored(volume.array[::-1, h]))
        save(ds, folder)


def _ct_image(
    phantom: Phantom, series: int, name: str, instance: int, phase: str | None
) -> Dataset:
    """CT image with acquisition tags; with a contrast phase, the tags of the contrast agent too."""
    ds = new_object(
        phantom, CTImageStorage, modality="CT", series=series, name=name, instance=instance
    )
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = uid(phantom, "frame"), ""
    ds.PatientPosition, ds.BodyPartExamined = "HFS", "ABDOMEN"
    ds.ProtocolName, ds.ConvolutionKernel = "Pancreas", "STANDARD"
    ds.KVP, ds.XRayTubeCurrent, ds.ExposureTime = "120", "250", "500"
    ds.AcquisitionNumber, ds.AcquisitionDate = series, "20200101"
    delay = -120.0 if phase is None else DELAY_S[phase]
    ds.AcquisitionTime = ds.ContentTime = clock(delay)
    if phase is not None:
        ds.ContrastBolusAgent, ds.ContrastBolusRoute = "Iohexol 350 mgI/ml", "IV"
        ds.ContrastBolusStartTime, ds.ContrastBolusVolume = clock(0), "100"
    return ds


def _position(volume: Volume, d: int, h: int, w: int) -> NDArray[np.float64]:
    """LPS position (x, y, z) of a voxel, mm."""
    return (volume.affine_lps @ (d, h, w, 1))[:3]


def _place(
    ds: Dataset,
    position: NDArray[np.float64],
    orientation: list[int],
    spacing_mm: tuple[float, float],
    thickness_mm: float,
) -> None:
    ds.ImagePositionPatient = [round(float(p), 4) for p in position]
    ds.ImageOrientationPatient = orientation
    ds.PixelSpacing = [round(s, 6) for s in spacing_mm]
    ds.SliceThickness = round(thickness_mm, 4)


def _stored(hu: NDArray) -> NDArray[np.uint16]:
    return (np.rint(hu) + 1024).astype(np.uint16)
