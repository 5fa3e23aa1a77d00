"""What nnU-Net learns of a data set before it trains: intensities of the foreground, and a spacing.

Source: Isensee et al. 2021, Methods, Dataset fingerprint; nnU-Net 2.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Real

from core.preprocess.intensity import normalize, window

NUM_VOXELS = 10_000
"""Drawn of each case, with replacement: a small object counts as much as a large one."""


class Intensities(NamedTuple):
    """Foreground of a training set in one channel, in HU."""

    low: float
    """The 0.5th percentile."""
    high: float
    """The 99.5th percentile."""
    mean: float
    std: float


def draw_foreground(
    rng: np.random.Generator,
    image: Real[np.ndarray, "d h w"],
    foreground: Bool[np.ndarray, "d h w"],
) -> Float[np.ndarray, "n"]:
    """Intensities of random foreground voxels of a case; none where it has no foreground."""
    voxels = image[foreground]
    if voxels.size == 0:
        return np.empty(0, np.float32)
    return rng.choice(voxels, NUM_VOXELS, replace=True).astype(np.float32)


def intensities(of_cases: Sequence[Float[np.ndarray, "_"]]) -> Intensities:
    """Of a channel over the cases of a training set.

    Args:
      of_cases: of `draw_foreground`.

    Raises:
      ValueError: no case has foreground.
    """
    voxels = np.concatenate([np.empty(0, np.float32), *of_cases])
    if voxels.size == 0:
        raise ValueError("of_cases must hold foreground; got none")
    low, high = np.percentile(voxels, (0.5, 99.5))
    exact = voxels.astype(np.float64)
    return Intensities(float(low), float(high), float(exact.mean()), float(exact.std()))


def normalize_ct(
    image: Real[np.ndarray, "d h w"], of_foreground: Intensities
) -> Float[np.ndarray, "d h w"]:
    """HU clipped to the foreground's percentiles, minus its mean, over its standard deviation."""
    low, high, mean, std = of_foreground
    return normalize(window(image, low, high), mean, std)


def median_spacing(
    spacings_mm: Sequence[tuple[float, float, float]],
) -> tuple[float, float, float]:
    """Spacing that a training set is resampled to: the median of each axis."""
    depth, height, width = np.median(np.asarray(spacings_mm, float), axis=0).tolist()
    return depth, height, width
