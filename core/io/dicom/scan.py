"""First pass over any set of files: headers only, every file into one bucket."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.io.dicom.frame import Frame
from core.io.dicom.header import NotUsedError, read_frames
from core.io.dicom.pixels import equal_pixels
from core.io.dicom.quiet import quiet
from core.io.dicom.series import group
from core.io.skipped import Skipped


def find_volumes(
    paths: Sequence[Path], *, min_slices: int
) -> tuple[list[tuple[Frame, ...]], list[Skipped]]:
    """Volumes among files of any kind, in the order of their first paths.

    Args:
      paths: files; what is not DICOM is skipped.
      min_slices: fewer images are no volume.

    Returns:
      Volumes as frames sorted along their normal, and every other file or group with its reason.
    """
    with quiet(), ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        results = list(pool.map(_try, sorted(paths)))
        skipped = [result for result in results if isinstance(result, Skipped)]
        frames = [f for result in results if not isinstance(result, Skipped) for f in result]
        volumes, refused = group(frames, min_slices=min_slices, equal=equal_pixels)
    volumes.sort(key=lambda volume: min((frame.path, frame.index) for frame in volume))
    return volumes, refused + skipped


def _try(path: Path) -> tuple[Frame, ...] | Skipped:
    try:
        return read_frames(path)
    except NotUsedError as reason:
        return Skipped(path, str(reason))
