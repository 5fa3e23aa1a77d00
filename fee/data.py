"""From prepared series to the batches of a step: which slices a task learns from, and what of."""

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from core.types import Batch
from fee.config import Config

logger = logging.getLogger(__name__)


class PreparedSeries(NamedTuple):
    """One series of a patient as a stack of slices; its pixels stay on disk until they are read."""

    id: str
    patient: str
    digest: str
    """Of its HU, or gray values, before they became slices."""
    phase: str
    """arterial, venous, delayed, native or unknown."""
    tumor: bool | None
    """Whether the patient has one; None if not known."""
    tumor_type: str
    """Such as PDAC; "" if not known."""
    image: Any
    """Gray (d, s, s) uint8."""
    mask: Any | None
    """(d, s, s) uint8, 1 in the pancreas and 2 in its tumor; None if not known."""
    pancreas_slices: tuple[int, ...]
    """Those that show some of it, by the mask."""
    tumor_slices: tuple[int, ...]
    """Those that show some of the tumor, by the mask."""


class Example(NamedTuple):
    """One slice, and what is true of it."""

    series: PreparedSeries
    slice: int
    label: bool
    """Whether it shows the pancreas; for `diagnose`, whether it counts as one of a tumor."""

    @property
    def name(self) -> str:
        """Unique in a data set."""
        return f"{self.series.id}:{self.slice}"


def examples(series: Sequence[PreparedSeries], cfg: Config) -> list[Example]:
    """Slices that a task learns from, in the order of the series.

    Only series with a mask serve; for `diagnose` only those of patients about whom is known
    whether they have a tumor, and only slices that show the pancreas.

    Args:
      series: prepared ones.
      cfg: the recipe.
    """
    usable = [stack for stack in series if stack.mask is not None]
    if cfg.task == "diagnose":
        usable = [stack for stack in usable if stack.tumor is not None]
    only_pancreas = cfg.task == "diagnose" or cfg.data.slices == "pancreas"
    slices = [
        Example(stack, d, _label(stack, d, cfg))
        for stack in usable
        for d in (stack.pancreas_slices if only_pancreas else range(len(stack.image)))
    ]
    if cfg.task != "segment" and len({example.label for example in slices}) == 1:
        logger.warning("all %d slices are of one class: nothing can be learned", len(slices))
    return slices


def _label(series: PreparedSeries, d: int, cfg: Config) -> bool:
    if cfg.task != "diagnose":
        return d in series.pancreas_slices
    if cfg.data.tumor_slices == "visible" and series.tumor_slices:
        return d in series.tumor_slices
    return bool(series.tumor)


def batch_of(chosen: Sequence[Example], cfg: Config) -> Batch:
    """Arrays of some slices.

    Returns:
      {"image": (n, s, s) uint8}, "mask" (n, s, s) uint8 of 0 and 1 for `segment` and `diagnose`,
      and "label" (n,) uint8 for `locate` and `diagnose`.
    """
    batch = {"image": np.stack([e.series.image[e.slice] for e in chosen])}
    if cfg.task != "locate":
        masks = np.stack([e.series.mask[e.slice] for e in chosen])  # type: ignore[index]
        batch["mask"] = (masks > 0).astype(np.uint8)
    if cfg.task != "segment":
        batch["label"] = np.array([e.label for e in chosen], np.uint8)
    return batch
