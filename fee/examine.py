"""What the three networks say about one series, and which of its slices are worth showing."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from fee.decision import deciding
from fee.networks import Bundle

SLICES_AT_ONCE = 64
"""Slices whose probability maps are in memory together: 67 MB at 512 × 512."""


class Examined(NamedTuple):
    """Answers about the slices of a series."""

    located: Float[np.ndarray, " d"]
    """Probability that a slice shows the pancreas."""
    kept: Int[np.ndarray, " k"]
    """Indices of the slices that do."""
    mask: UInt8[np.ndarray, "d s s"]
    """1 in the pancreas; 0 in slices that are not kept."""
    probs: Float[np.ndarray, " k"]
    """Probability that a kept slice is one of a tumor."""


class Shown(NamedTuple):
    """A slice that may have decided, with all that a picture of it needs."""

    series: str
    index: int
    prob: float
    image: UInt8[np.ndarray, "s s"]
    mask: UInt8[np.ndarray, "s s"]
    pixel_mm: tuple[float, float]


class Stopwatch(Counter[str]):
    """Seconds by stage; stages may be entered again."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self[name] += time.perf_counter() - start  # type: ignore[assignment]


def examine(image: UInt8[np.ndarray, "d s s"], bundle: Bundle, watch: Stopwatch) -> Examined:
    """Locate, segment what was located, and diagnose what was segmented (Fig. 3).

    Args:
      image: all slices of a series.
      bundle: the networks.
      watch: gets the seconds of each.
    """
    with watch.stage("locate"):
        located = bundle.locate(image, None)
    kept = np.flatnonzero(located >= bundle.cfgs["locate"].infer.threshold)
    mask, least = np.zeros_like(image), bundle.cfgs["segment"].infer.threshold
    with watch.stage("segment"):
        for some in np.split(kept, range(SLICES_AT_ONCE, len(kept), SLICES_AT_ONCE)):
            mask[some] = bundle.segment(image[some], None) >= least
    with watch.stage("diagnose"):
        probs = bundle.diagnose(image[kept], mask[kept])
    return Examined(located, kept, mask, probs)


def candidates(
    series: str,
    image: UInt8[np.ndarray, "d s s"],
    seen: Examined,
    *,
    pixel_mm: tuple[float, float],
    num: int,
) -> list[Shown]:
    """Slices that speak most for either answer: the decision is not known before the last series.

    Args:
      series: name of the series.
      image: its slices.
      seen: what the networks say.
      pixel_mm: height and width of a pixel of `image`.
      num: of each side, at most.
    """
    strongest = {int(i) for side in ("tumor", "normal") for i in deciding(seen.probs, side, num)}
    return [
        Shown(
            series, d := int(seen.kept[i]), float(seen.probs[i]), image[d], seen.mask[d], pixel_mm
        )
        for i in sorted(strongest)
    ]
