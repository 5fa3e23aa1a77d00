"""Masks of the series of a patient, and which series each belongs to: by its phase and its grid."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from core.datasets.pancreas import BACKGROUND, NAMES
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.volume import Volume, reorient, same_grid


class SeriesMask(NamedTuple):
    """Annotated pancreas of one series: 1 pancreas, 2 tumor in it.

    Args:
      path: its file, or the image that it belongs to.
      phase: of its series; None where the series is told by the grid alone.
      read: → ids.
      grid: → where it lies; its voxels need not be read.
    """

    path: Path
    phase: str | None
    read: Callable[[], Volume]
    grid: Callable[[], Volume]


def mask_in_file(path: Path, phase: str) -> SeriesMask:
    """Mask of a series of a phase in a NIfTI file."""

    def read() -> Volume:
        label = nifti.read_label(path)
        check_ids(label, (BACKGROUND, *NAMES), path)
        return label

    return SeriesMask(path, phase, read, lambda: nifti.read_grid(path))


def match_masks(
    series: Sequence[tuple[str, Volume]], masks: Sequence[SeriesMask]
) -> tuple[list[SeriesMask | InputError | None], list[SeriesMask]]:
    """Mask of each series of a patient: of its phase, and on its grid.

    One mask alone belongs to one series alone, whatever its phase is taken for. Of several series
    of a phase the mask is that of the one on whose grid it lies.

    Args:
      series: phase and grid of each.
      masks: of the patient.

    Returns:
      For each series its mask, None, or why the mask of its phase does not fit; and the masks of
      phases that no series has.
    """
    matched: list[SeriesMask | InputError | None] = [None] * len(series)
    without_series = []
    for mask in masks:
        alone = len(series) == len(masks) == 1
        indices = [i for i, (phase, _) in enumerate(series) if alone or mask.phase in (None, phase)]
        if not indices:
            without_series.append(mask)
            continue
        fitting, reason = _fitting(mask, {i: series[i][1] for i in indices})
        if len(fitting) == 1:
            matched[fitting[0]] = mask
            continue
        for i in fitting or indices:
            if matched[i] is None:
                matched[i] = reason
    return matched, without_series


def _fitting(mask: SeriesMask, grids: Mapping[int, Volume]) -> tuple[list[int], InputError]:
    """Series on whose grid a mask lies; and what is wrong unless it is exactly one."""
    reason = InputError("lies on the grids of several series of its phase", path=mask.path)
    try:
        where = mask.grid()
    except InputError as error:
        return [], error
    fitting: list[int] = []
    for i, series_grid in grids.items():
        try:
            require_same_grid(series_grid, where, "its series", mask.path)
            fitting.append(i)
        except InputError as error:
            reason = error if not fitting else reason
    exact = [i for i in fitting if same_grid(grids[i], reorient(where, grids[i].direction))]
    return exact or fitting, reason
