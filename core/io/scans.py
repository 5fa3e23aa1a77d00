"""Read a CT from a NIfTI file or a DICOM series; write segmentations on its grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from core.errors import InputError
from core.io import nifti
from core.io.dicom.geometry import grid
from core.io.dicom.pixels import read_hu
from core.io.dicom.seg import write_seg
from core.io.dicom.slice_header import SliceHeader
from core.volume import Volume, reorient, same_grid

MAX_CACHED_BYTES = 1 << 30
"""Of one patient's volumes; 512 × 512 × 667 voxels of int16 take 350 MB."""


@dataclass(frozen=True)
class Scan:
    """One CT volume that can be read.

    Args:
      id: unique among the scans found with it; made of file and folder names, never of a header.
      path: the NIfTI file, or the folder of the DICOM files; a folder that was zipped is
        given as "study.zip/folder".
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
    frames: tuple[SliceHeader, ...] = ()


class Written(NamedTuple):
    """Files that were written, and why one is missing, if one is."""

    files: list[Path]
    note: str


def read_scan(scan: Scan) -> Volume:
    """HU of a scan in the orientation it is stored in; DICOM ascends along its normal.

    Raises:
      InputError: a file cannot be read.
    """
    if scan.kind == "nifti":
        return nifti.read(scan.path)
    return grid(scan.frames).with_array(read_hu(scan.frames))


class VolumeCache:
    """Volumes that are looked at more than once, until they are taken out."""

    def __init__(self, max_bytes: int = MAX_CACHED_BYTES) -> None:
        self._max_bytes = max_bytes
        self._volumes: dict[str, Volume] = {}

    def read(self, scan: Scan) -> Volume:
        """HU of a scan; kept as long as all that is kept fits.

        Raises:
          InputError: a file cannot be read.
        """
        volume = self._volumes.get(scan.id)
        if volume is None:
            volume = read_scan(scan)
            kept = sum(other.array.nbytes for other in self._volumes.values())
            if kept + volume.array.nbytes <= self._max_bytes:
                self._volumes[scan.id] = volume
        return volume

    def take(self, scan: Scan) -> Volume:
        """HU of a scan, which is not kept any longer.

        Raises:
          InputError: a file cannot be read.
        """
        volume = self._volumes.pop(scan.id, None)
        return read_scan(scan) if volume is None else volume

    def forget(self, scan: Scan) -> None:
        """Drop a scan that is not used."""
        self._volumes.pop(scan.id, None)


def read_grid(scan: Scan) -> Volume:
    """Where a scan lies, as `read_scan` gives it, without its voxels.

    Raises:
      InputError: the file cannot be read.
    """
    return nifti.read_grid(scan.path) if scan.kind == "nifti" else grid(scan.frames)


def write_segmentation(
    out_dir: str | Path,
    scan: Scan,
    labels: Volume,
    names: Mapping[int, str],
    *,
    anonymous: bool = False,
) -> Written:
    """Write labels on a scan's own grid: `segmentation.nii.gz`, and `segmentation.dcm` for DICOM.

    Args:
      out_dir: where to.
      scan: the scan that was segmented.
      labels: integer ids on the scan's grid, with its axes in any order and direction.
      names: id to label name, without background.
      anonymous: write the DICOM-SEG without the patient's tags.

    Returns:
      The files, and a note where a DICOM series cannot be referenced by a DICOM-SEG.
    """
    path = Path(out_dir) / "segmentation.nii.gz"
    source = read_grid(scan)
    placed = reorient(labels, source.direction)
    if not same_grid(source, placed):
        raise ValueError(f"labels of shape {placed.shape} do not lie on the grid of {scan.id}")
    if scan.kind == "nifti":
        return Written([nifti.write_like(path, placed.array, scan.path)], "")
    written = Written([nifti.write(path, placed)], "")
    try:
        seg = path.with_name("segmentation.dcm")
        write_seg(seg, scan.frames, placed.array, names, anonymous=anonymous)
        written.files.append(seg)
    except InputError as reason:
        return Written(written.files, f"no DICOM-SEG: {reason.message}")
    return written
