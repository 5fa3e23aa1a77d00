"""Millimeters of a pixel under a lesion: a screen may show several scans of different scale."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from core.volume import Frame, Region, same_scale

MIN_SHARE = 0.5
"""Of a lesion that lies where distances are known, for its size to be one."""


class Scale(NamedTuple):
    """Height and width of a pixel in mm, and how that is known.

    Args:
      spacing_mm: None where unknown.
      origin: which scale, or why none; None where there is no lesion.
    """

    spacing_mm: tuple[float, float] | None
    origin: str | None


def scale_under(frame: Frame, lesion: Bool[np.ndarray, "h w"]) -> Scale:
    """Scale at the place of a lesion; none where it spans regions of different scale.

    Args:
      frame: the picture.
      lesion: what is measured, not empty.
    """
    if not frame.regions:
        known = frame.spacing_mm is not None
        return Scale(frame.spacing_mm, "of the picture" if known else "none: the file tells none")
    areas = [int(_inside(lesion, region).sum()) for region in frame.regions]
    number = int(np.argmax(areas))
    if _covered(lesion, frame) < MIN_SHARE * lesion.sum():
        return Scale(None, "none: the lesion lies outside the ultrasound regions")
    touched = [region for region, area in zip(frame.regions, areas, strict=True) if area]
    if not same_scale(touched):
        return Scale(None, "none: the lesion lies in ultrasound regions of different scale")
    return Scale(
        frame.regions[number].spacing_mm,
        f"of ultrasound region {number + 1} of {len(frame.regions)}",
    )


def _inside(lesion: Bool[np.ndarray, "h w"], region: Region) -> Bool[np.ndarray, "p q"]:
    return lesion[slice(*region.rows), slice(*region.columns)]


def _covered(lesion: Bool[np.ndarray, "h w"], frame: Frame) -> int:
    """Pixels of a lesion that lie in any region."""
    outside = lesion.copy()
    for region in frame.regions:
        _inside(outside, region)[...] = False
    return int(lesion.sum() - outside.sum())
