"""Whether a picture shows anything."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from core.errors import InputError
from core.io.remarks import remark

MIN_LEVELS, FEW_LEVELS = 4, 16
"""Of gray that nearly all of a picture spans: fewer are noise, or in doubt."""
MIDDLE = (0.1, 99.9)
"""Percentiles of the pixels that count: single bright ones make no picture."""


def num_levels(gray: UInt8[np.ndarray, "h w"]) -> int:
    """Gray levels that the pixels span, but for the darkest and the brightest few."""
    low, high = np.percentile(gray, MIDDLE)
    return int(high - low)


def require_contrast(gray: UInt8[np.ndarray, "h w"], path: Path) -> None:
    """Refuse a picture that is of one gray; remark one that nearly is.

    Args:
      gray: brightness.
      path: of the picture.

    Raises:
      InputError: it shows nothing.
    """
    if (levels := num_levels(gray)) < MIN_LEVELS:
        raise InputError(
            f"shows nothing: all of it is gray {int(np.median(gray))}, or as good as",
            path=path,
            hint="look at the picture, and export it again",
        )
    if levels < FEW_LEVELS:
        remark(path, f"nearly shows nothing: it spans {levels} of 256 gray levels")
