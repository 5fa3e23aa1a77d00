"""CT scans of any kind: a NIfTI file, a DICOM file or folder, or a folder of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from core.errors import InputError
from core.io import nifti
from core.io.dicom.frame import Frame
from core.io.dicom.grid import grid
from core.io.dicom.pixels import read_hu
from core.io.dicom.scan import find_volumes
from core.io.dicom.seg import write_seg
from core.io.found import below, files_at, summary, unique_ids
from core.io.nifti_header import is_nifti
from core.io.skipped import Skipped
from core.io.stand_in import is_shadow
from core.volume import Volume, reorient, same_grid

NIFTI_ENDINGS = (".nii.gz", ".nii")
# Localizers, bolus tracking and fragments have fewer; at 5 mm a pancreas alone spans 16 slices.
MIN_SLICES = 8


@dataclass(frozen=True)
class Scan:
    """One CT volume that can be read.

    Args:
      id: unique among the scans found with it; made of file and folder names, never of a header.
      path: the NIfTI file, or the folder of the DICOM files.
      kind: what it is stored as.
      files: every file it consists of.
      description: the series description; empty for NIfTI.
      frames: DICOM images sorted along their normal; empty for NIfTI.
    """

    id: str
    path: Path
    kind: Literal["nifti", "dicom"]
    files: tuple[Path, ...]
    description: str = ""
    frames: tuple[Frame, ...] = ()


class Written(NamedTuple):
    """Files that were written, and why one is missing, if one is."""

    files: list[Path]
    note: str


def find_scans(
    path: str | Path, *, min_slices: int = MIN_SLICES
) -> tuple[list[Scan], list[Skipped]]:
    """Find the CT volumes at a path, from headers alone.

    Args:
      path: a NIfTI file, a DICOM file, or a folder that holds any of them at any depth, among
        whatever else.
      min_slices: fewer DICOM images are no volume.

    Returns:
      Scans in the order of their paths, at least one, and what was found and not used: one entry
      per foreign or damaged file, one per DICOM series that is no volume.

    Raises:
      InputError: there is nothing at the path, or nothing usable; the line says why.
    """
    path = Path(path)
    scans, skipped, others = _find_nifti(files_at(path))
    volumes, not_volumes = find_volumes(others, min_slices=min_slices)
    scans += [_dicom_scan(frames) for frames in volumes]
    skipped = not_volumes + skipped
    if not scans:
        raise InputError(f"no CT volume: {summary(skipped)}", path=path)
    return _with_ids(sorted(scans, key=lambda s: min(s.files)), path), skipped


def read_scan(scan: Scan) -> Volume:
    """HU of a scan in the orientation it is stored in; DICOM ascends along its normal.

    Raises:
      InputError: a file cannot be read.
    """
    if scan.kind == "nifti":
        return nifti.read(scan.path)
    return grid(scan.frames).with_array(read_hu(scan.frames))


def write_segmentation(
    out_dir: str | Path, scan: Scan, labels: Volume, names: Mapping[int, str]
) -> Written:
    """Write labels on a scan's own grid: `segmentation.nii.gz`, and `segmentation.dcm` for DICOM.

    Args:
      out_dir: where to.
      scan: the scan that was segmented.
      labels: integer ids on the scan's grid, with its axes in any order and direction.
      names: id to label name, without background.

    Returns:
      The files, and a note where a DICOM series cannot be referenced by a DICOM-SEG.
    """
    path = Path(out_dir) / "segmentation.nii.gz"
    source = nifti.read_grid(scan.path) if scan.kind == "nifti" else grid(scan.frames)
    placed = reorient(labels, source.direction)
    if not same_grid(source, placed):
        raise ValueError(f"labels of shape {placed.shape} do not lie on the grid of {scan.id}")
    if scan.kind == "nifti":
        return Written([nifti.write_like(path, placed.array, scan.path)], "")
    written = Written([nifti.write(path, placed)], "")
    try:
        written.files.append(
            write_seg(path.with_name("segmentation.dcm"), scan.frames, placed.array, names)
        )
    except InputError as reason:
        return Written(written.files, f"no DICOM-SEG: {reason.message}")
    return written


def _find_nifti(files: Sequence[Path]) -> tuple[list[Scan], list[Skipped], list[Path]]:
    """NIfTI scans, what is one no more, and the files that may be DICOM."""
    scans, skipped, others = [], [], []
    for file in files:
        if is_shadow(file) or file.name.startswith("."):
            skipped.append(Skipped(file, "hidden or macOS shadow file"))
        elif is_nifti(file) or file.name.endswith(NIFTI_ENDINGS):
            try:
                nifti.read_grid(file)
            except InputError as error:
                skipped.append(Skipped(file, error.message, is_broken=True))
            else:
                scans.append(Scan("", file, "nifti", (file,)))
        else:
            others.append(file)
    return scans, skipped, others


def _dicom_scan(frames: tuple[Frame, ...]) -> Scan:
    files = tuple(dict.fromkeys(f.path for f in frames))
    folder = Path(os.path.commonpath([f.parent for f in files]))
    return Scan("", folder, "dicom", files, frames[0].description, frames)


def _with_ids(scans: Sequence[Scan], root: Path) -> list[Scan]:
    """Name each scan by its path below `root`."""
    endings = (*NIFTI_ENDINGS, ".dcm")
    places = [s.path if root.is_dir() else s.files[0] for s in scans]
    ids = unique_ids([below(place, root, endings) for place in places], instead="scan")
    return [replace(scan, id=name) for scan, name in zip(scans, ids, strict=True)]
