"""What kind of images a series of CT holds: axial or not, tissue or a map, of which kernel."""

import re

import numpy as np
from numpy.typing import NDArray

MAX_TILT_DEG = 30.0  # between the normal of an axial image and the axis of the body
PLANES = ("sagittal reformat", "coronal reformat")
PROJECTION_WORDS = re.compile(r"\b(mip|minip|vrt?|3d|curved|cpr)\b", re.IGNORECASE)
MAP_WORDS = re.compile(r"iodine|\bz.?eff|perfusion|\bcb[fv]\b|monitoring", re.IGNORECASE)

SHARP_WORDS = r"bone|lung|edge|sharp|detail|ultra|knochen|lunge|\bos\b|osseux|poumon|hueso|骨|肺"
SOFT_WORDS = r"\bsoft|stand|\bstd|smooth|weich|mou|软组织|標準|标准"
SHARP_NUMBER = {"SIEMENS": 45, "TOSHIBA": 30}  # B30f and FC08 are soft; B60f and FC52 are not


def reformat(axis: NDArray[np.float64]) -> str:
    """What images are called that are not axial; empty for axial ones.

    Args:
      axis: their normal, an LPS unit vector (3,).
    """
    nearest = int(np.argmax(np.abs(axis)))
    if nearest != 2:
        return PLANES[nearest]
    return "oblique reformat" if abs(axis[2]) < np.cos(np.radians(MAX_TILT_DEG)) else ""


def no_tissue(description: str) -> str:
    """Why the images of a series are no slices of tissue in HU; empty where they may be.

    >>> no_tissue("Abdomen_MIP"), no_tissue("Abdomen 1.0 B30f")
    ('projection through slices', '')
    """
    words = description.replace("_", " ")
    if PROJECTION_WORDS.search(words):
        return "projection through slices"
    return "map or bolus tracking, not tissue in HU" if MAP_WORDS.search(words) else ""


def sharpness(kernel: str, description: str) -> int:
    """0 for a soft kernel, 1 where nothing tells, 2 for one made for bone or lung."""
    for text in (kernel.casefold(), description.casefold()):
        if re.search(SHARP_WORDS, text):
            return 2
        if re.search(SOFT_WORDS, text):
            return 0
    for pattern, limit in (
        (r"\bfc ?(\d\d)", SHARP_NUMBER["TOSHIBA"]),
        (r"\b[a-z]{1,2}(\d\d)[a-z]?\b", SHARP_NUMBER["SIEMENS"]),
    ):
        if match := re.search(pattern, kernel.casefold()):
            return 2 if int(match[1]) >= limit else 0
    if re.fullmatch(r"[a-c]", kernel.casefold()):  # Philips
        return 0
    return 2 if re.fullmatch(r"d|e|l|y[a-e]", kernel.casefold()) else 1
