"""Is a scan a stack of axial images of the right size, in HU, in a phase that is wanted?"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.io import nifti
from core.io.dicom.acquisition import Acquisition
from core.io.dicom.geometry import normal
from core.io.inventory import Bucket
from core.io.scans import Scan
from core.volume import Volume, canonical
from fee.config import ScreenConfig
from fee.phase_text import Phase
from fee.phases import SeriesPhase, phase_of
from fee.volume_cache import VolumeCache

MAX_TILT_DEG = 30.0  # between the normal of an axial image and the axis of the body
PLANES = ("sagittal reformat", "coronal reformat")
COARSER = 1.5  # a step this much longer than the pixels is the one between slices
PROJECTION_WORDS = re.compile(r"\b(mip|minip|vrt?|3d|curved|cpr)\b", re.IGNORECASE)
MAP_WORDS = re.compile(r"iodine|\bz.?eff|perfusion|\bcb[fv]\b|monitoring", re.IGNORECASE)
HIGHEST_AIR_HU = -200


class Verdict(NamedTuple):
    """What is decided about a scan.

    Args:
      bucket: used, skipped, or error.
      reason: empty where it is used.
      series_phase: its phase, if somebody asked for it.
    """

    bucket: Bucket
    reason: str = ""
    series_phase: SeriesPhase | None = None


def judge(
    scan: Scan,
    acquisition: Acquisition,
    name: str,
    cfg: ScreenConfig,
    phases: Mapping[str, Phase],
    volumes: VolumeCache,
) -> Verdict:
    """Judge one scan by itself.

    Args:
      scan: what to judge.
      acquisition: what its header says.
      name: its path below the patient's folder.
      cfg: which series are used.
      phases: the user's table of this patient's phases; empty for none.
      volumes: keeps what has to be read.
    """
    try:
        reason = _refusal(scan, acquisition, cfg, volumes)
    except InputError as error:
        return Verdict("error", error.message)
    if reason:
        return Verdict("skipped", reason)
    series_phase = phase_of(scan, acquisition, name=name, table=phases, volumes=volumes)
    is_wanted = (
        cfg.unknown == "use"
        if series_phase.phase == "unknown"
        else series_phase.phase in cfg.phases
    )
    return (
        Verdict("used", "", series_phase)
        if is_wanted
        else Verdict("skipped", f"{series_phase.phase} phase", series_phase)
    )


def _refusal(scan: Scan, acquisition: Acquisition, cfg: ScreenConfig, volumes: VolumeCache) -> str:
    """Why a scan is not used, whatever its phase; empty where it may be."""
    if scan.kind == "nifti":
        return _nifti_refusal(scan, cfg, volumes)
    if PROJECTION_WORDS.search(acquisition.description.replace("_", " ")):
        return "projection through slices"
    if MAP_WORDS.search(acquisition.description.replace("_", " ")):
        return "map or bolus tracking, not tissue in HU"
    return _plane(normal(scan.frames[0])) or _size(scan.frames[0].size, cfg)


def _nifti_refusal(scan: Scan, cfg: ScreenConfig, volumes: VolumeCache) -> str:
    grid = nifti.read_grid(scan.path)
    upright = canonical(grid)
    reason = _plane(_slice_normal(grid)) or _size(upright.shape[1:], cfg)
    if reason:
        return reason
    if upright.shape[0] < cfg.min_slices:
        return f"{upright.shape[0]} slices, fewer than {cfg.min_slices}"
    # A mask, or a slice of gray values, has the grid of a CT and no air.
    is_ct = volumes.read(scan).array.min() < HIGHEST_AIR_HU
    return "" if is_ct else "a mask or no CT: nothing is air"


def _slice_normal(grid: Volume) -> NDArray[np.float64]:
    """Direction between slices: along the coarsest axis if it stands out, else along the body's."""
    longest, second = sorted(range(3), key=lambda axis: -grid.spacing_mm[axis])[:2]
    if grid.spacing_mm[longest] >= COARSER * grid.spacing_mm[second]:
        return grid.direction[:, longest]
    return grid.direction[:, int(np.argmax(np.abs(grid.direction[2])))]


def _plane(axis: NDArray[np.float64]) -> str:
    """What images with this normal are called, if they are not axial."""
    nearest = int(np.argmax(np.abs(axis)))
    if nearest != 2:
        return PLANES[nearest]
    return "oblique reformat" if abs(axis[2]) < np.cos(np.radians(MAX_TILT_DEG)) else ""


def _size(size: tuple[int, ...], cfg: ScreenConfig) -> str:
    if cfg.size == 0 or size == (cfg.size, cfg.size):
        return ""
    return f"{size[0]} × {size[1]} pixels, not {cfg.size} × {cfg.size}"
