"""From prepared scans to the batches of a step: both sampling schemes of Sec. 2.2.

Every example of a run has a number and a generator of its own: a batch is a pure function of
(seed, step), and an interruption changes nothing that is drawn.
"""

from collections.abc import Callable, Sequence
from math import floor
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8
from numpy.random import Generator

from core.data import patches
from core.data.cache import Stored
from core.data.epochs import numbers_of_host
from core.datasets.pancreas import BACKGROUND, PANCREAS, TUMOR, in_pancreas
from core.errors import InputError
from core.preprocess.crop import Box, grow, intersect
from core.preprocess.intensity import normalize
from core.random import rng
from core.types import Batch
from s4c.config import DataConfig

PATCH_TYPES = (BACKGROUND, PANCREAS, TUMOR)
MAX_TRIES = 50
NO_VOXELS = np.zeros((0, 3), np.int32)


class Prepared(NamedTuple):
    """A scan ready to cut patches from; arrays stay on disk until a patch is read."""

    id: str
    patient: str
    digest: str
    """Identity of its HU, whatever its file is called."""
    image: Stored
    """HU within the window (d, h, w), canonical orientation."""
    mean: float
    std: float
    label: Stored
    """Ids uint8 (d, h, w): 0 background, 1 pancreas, 2 tumor, 3 dilated duct, 255 not annotated."""
    pancreas_voxels: Int32[np.ndarray, "p 3"]
    """Some voxels of the pancreas set, tumor included."""
    tumor_voxels: Int32[np.ndarray, "t 3"]
    pancreas_box: Box | None
    """Smallest box of the pancreas set; None where a scan shows none."""
    tumor_box: Box | None
    """Smallest box of the tumor; None in a normal scan."""

    @property
    def is_abnormal(self) -> bool:
        """Whether a tumor is annotated."""
        return len(self.tumor_voxels) > 0


class Cohort(NamedTuple):
    """Training cases, and those among them that a kind of patch can come from."""

    cases: Sequence[Prepared]
    with_pancreas: Sequence[Prepared]
    with_tumor: Sequence[Prepared]


def batch_maker(
    cases: Sequence[Prepared], cfg: DataConfig, seed: int, *, host: int = 0, num_hosts: int = 1
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Args:
      cases: to train on.
      cfg: patch size, size of the global batch, and sampling.
      seed: of the run.
      host: index of this host.
      num_hosts: hosts that share the batch; their parts together are the batch of a single host.

    Returns:
      `make(step)` → {"image": (n, p, p, p, 1) float32 normalised, "label": (n, p, p, p) uint8}.

    Raises:
      InputError: no case has a pancreas, or patches of a tumor are asked for and no case has one.
    """
    cohort = Cohort(
        cases,
        with_pancreas=[case for case in cases if case.pancreas_box is not None],
        with_tumor=[case for case in cases if case.is_abnormal],
    )
    if not cohort.with_pancreas:
        raise InputError("no training case has a pancreas label", hint="check the label names")
    if cfg.sampling == "roi" and not cohort.with_tumor:
        raise InputError("no training case has a tumor label", hint="the roi sampling needs some")
    numbers = numbers_of_host(cfg.batch, host, num_hosts)
    draw = {"scan": _draw_from_scan, "roi": _draw_from_roi}[cfg.sampling]

    def make(step: int) -> Batch:
        drawn = (draw(cohort, cfg, i, rng(seed, i)) for i in numbers(step))
        images, labels = zip(*drawn, strict=True)
        return {"image": np.stack(images)[..., None], "label": np.stack(labels)}

    return make


Example = tuple[np.ndarray, np.ndarray]


def _draw_from_scan(cohort: Cohort, cfg: DataConfig, number: int, random: Generator) -> Example:
    """A patch anywhere in a scan; a fixed share, spread evenly, lies around a pancreas voxel."""
    patch = (cfg.patch,) * 3
    if floor((number + 1) * cfg.foreground) > floor(number * cfg.foreground):
        case = _choose(cohort.with_pancreas, random)
        voxel = _choose(case.pancreas_voxels, random)
        return cut(case, patches.centered_start(voxel, case.label.shape, patch), cfg.patch)
    case = _choose(cohort.cases, random)
    return cut(case, patches.random_start(random, case.label.shape, patch), cfg.patch)


def _draw_from_roi(cohort: Cohort, cfg: DataConfig, number: int, random: Generator) -> Example:
    """A patch in a pancreas's ROI, of the type whose turn it is: equal numbers of each."""
    wanted = PATCH_TYPES[number % len(PATCH_TYPES)]
    case = _choose(cohort.with_tumor if wanted == TUMOR else cohort.with_pancreas, random)
    start = patches.start_where(
        random,
        case.label,
        _where_to_look(case, wanted, cfg),
        (cfg.patch,) * 3,
        lambda label: patch_type(label, cfg.type_fraction) == wanted,
        # A tumor too small to fill the fraction is centred on instead.
        voxels={PANCREAS: case.pancreas_voxels, TUMOR: case.tumor_voxels}.get(wanted, NO_VOXELS),
        max_tries=MAX_TRIES,
    )
    return cut(case, start, cfg.patch)


def _where_to_look(case: Prepared, wanted: int, cfg: DataConfig) -> Box:
    """Part of the ROI in which patches of a type can lie.

    A patch that touches a tumor lies within a patch's reach of it: looking there draws from the
    same patches as looking in the whole ROI, in a twentieth of the tries.
    """
    shape = case.label.shape
    box = case.tumor_box if wanted == TUMOR else case.pancreas_box
    if box is None or case.pancreas_box is None:
        raise ValueError(f"{case.id} has nothing of class {wanted} to look around")
    roi = grow(case.pancreas_box, cfg.roi_margin, shape)
    return roi if wanted == BACKGROUND else intersect(roi, grow(box, cfg.patch - 1, shape))


def _choose(items, random: Generator):
    return items[random.integers(len(items))]


def patch_type(label: UInt8[np.ndarray, "d h w"], fraction: float) -> int:
    """Type of a patch by the share of its tumor and pancreas voxels (Sec. 2.2).

    Returns:
      TUMOR if the tumor fills at least `fraction`, else PANCREAS if pancreas and tumor together
      do, else BACKGROUND.
    """
    if np.count_nonzero(label == TUMOR) >= fraction * label.size:
        return TUMOR
    return PANCREAS if np.count_nonzero(in_pancreas(label)) >= fraction * label.size else BACKGROUND


def cut(case: Prepared, start: Sequence[int], side: int) -> Example:
    """Normalised image and label of one cubic patch; outside the scan both are 0."""
    patch = (side,) * 3
    # The mean normalises to 0, to within the half HU that int16 rounds away.
    image = patches.extract(case.image, start, patch, fill=np.rint(case.mean))
    return (
        normalize(image, case.mean, case.std),
        patches.extract(case.label, start, patch, fill=BACKGROUND),
    )
