"""ROC curve over all pixels of a cohort in 1 MiB: two histograms instead of a list of scores.

A score is rounded to float16 and every float16 has a bin of its own. Rounding keeps the order of
scores and only adds ties, so scores that are float16 already give the exact curve. Of any others
the area is off by at most half the share of pairs that the rounding ties, `area_error`. Logits
spread over the bins; probabilities crowd below 1, where neighbors in float16 are 1/2048 apart.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core import check
from core.metrics.classification import OperatingPoint

NUM_BINS = 1 << 16
SIGN = np.uint16(1 << 15)
LARGEST = float(np.finfo(np.float16).max)


class ScoreHistogram(NamedTuple):
    """How many pixels have each score, by rising score."""

    num_positive: NDArray[np.int64]
    num_negative: NDArray[np.int64]


def histogram(scores: NDArray, true_mask: NDArray[np.bool_]) -> ScoreHistogram:
    """Count the pixels of one image by score and truth.

    Args:
      scores: any shape, higher means more likely positive; beyond ±65504 all are the same.
      true_mask: truth, same shape.

    Raises:
      ValueError: shapes differ, the truth is not boolean, or a score is not finite.
    """
    check.same_shape(scores=scores, true_mask=true_mask)
    if true_mask.dtype != np.bool_:
        raise ValueError(f"true_mask must be boolean; got {true_mask.dtype}")
    if not np.isfinite(scores).all():
        raise ValueError(f"scores must be finite; got {scores[~np.isfinite(scores)][0]}")
    bins = _bin(scores)
    counts = [np.bincount(bins[chosen], minlength=NUM_BINS) for chosen in (true_mask, ~true_mask)]
    return ScoreHistogram(*counts)


def pool(histograms: Iterable[ScoreHistogram]) -> ScoreHistogram:
    """One histogram of all pixels of several images; of no image, one of no pixel."""
    pooled = ScoreHistogram(np.zeros(NUM_BINS, np.int64), np.zeros(NUM_BINS, np.int64))
    for image in histograms:
        for total, counts in zip(pooled, image, strict=True):
            total += counts
    return pooled


def points(pixels: ScoreHistogram) -> list[OperatingPoint]:
    """Every operating point, by falling threshold, as `classification.roc_curve` gives them.

    Raises:
      ValueError: there are pixels of one class only.
    """
    num_positive, num_negative = (int(counts.sum()) for counts in pixels)
    if not (num_positive and num_negative):
        raise ValueError(
            f"a ROC curve needs positive and negative pixels; got {num_positive} and {num_negative}"
        )
    bins = np.flatnonzero(pixels.num_positive + pixels.num_negative)[::-1]
    sensitivities = np.cumsum(pixels.num_positive[bins]) / num_positive
    specificities = 1 - np.cumsum(pixels.num_negative[bins]) / num_negative
    columns = zip(_score(bins), sensitivities, specificities, strict=True)
    return [OperatingPoint(np.inf, 0.0, 1.0), *(OperatingPoint(*map(float, c)) for c in columns)]


def area(pixels: ScoreHistogram) -> float:
    """How often a positive pixel outranks a negative one, ties half; nan without either class."""
    num_positive, num_negative = (int(counts.sum()) for counts in pixels)
    if not (num_positive and num_negative):
        return float("nan")
    below = np.cumsum(pixels.num_negative) - pixels.num_negative
    # Products of counts pass 2⁶³ for ten thousand images: divide first.
    wins = pixels.num_positive / num_positive * ((below + pixels.num_negative / 2) / num_negative)
    return float(wins.sum())


def area_error(pixels: ScoreHistogram) -> float:
    """Bound of |area − area of the scores before rounding|: half the share of tied pairs."""
    num_positive, num_negative = (int(counts.sum()) for counts in pixels)
    if not (num_positive and num_negative):
        return float("nan")
    tied = (pixels.num_positive / num_positive) * (pixels.num_negative / num_negative)
    return float(tied.sum() / 2)


def _bin(scores: NDArray) -> NDArray[np.uint16]:
    """Number of a float16 among all by size: bits read as an integer, negatives turned around."""
    half = np.clip(scores, -LARGEST, LARGEST).astype(np.float16) + np.float16(0)  # −0 is 0
    bits = half.view(np.uint16)
    return np.where(bits & SIGN, ~bits, bits | SIGN)


def _score(bins: NDArray) -> NDArray[np.float16]:
    """The float16 that `_bin` numbers so."""
    bits = bins.astype(np.uint16)
    return np.where(bits & SIGN, bits ^ SIGN, ~bits).view(np.float16)
