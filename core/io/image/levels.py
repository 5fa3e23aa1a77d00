"""What a picture holds in few values: levels of gray, ids of a palette, or colors.

A level is real where it covers an area: values that only stand at borders, such as the grays of
smooth drawing or the ringing of JPEG, lie between two real ones or beside one.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Num
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from core.errors import InputError
from core.io.image.depth import bits_needed
from core.io.image.still import DEEP_MODES, WHITE_IS_ZERO, opened, pages_of, turned

LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")
FEW = 16
"""Values up to which a file without loss is taken at its word: ringing makes more."""
TOLERANCE = 1 / 8
"""Of the range of values: ringing of JPEG stays below."""
GRAY_SPREAD = 8
"""Between the channels of a gray that JPEG kept as a color."""
MIN_AREA = 1e-4
"""Share of a picture that a level covers at least, where there are more values than a few."""


class Levels(NamedTuple):
    """Values of a picture, each once.

    Args:
      index: (H, W), number of the value of each pixel.
      values: (n, 1) gray, or (n, 3) RGB.
      ids: of the n values in a palette; None without a palette.
      is_exact: whether all values are meant: few, and no loss.
    """

    index: NDArray[np.intp]
    values: Num[np.ndarray, "n c"]
    ids: tuple[int, ...] | None
    is_exact: bool

    @property
    def is_gray(self) -> bool:
        """Whether no value has a color."""
        return self.values.shape[1] == 1

    def name(self, number: int) -> str:
        """What a user calls a value: its id, its gray, or "#rrggbb"."""
        if self.ids is not None:
            return str(self.ids[number])
        value = self.values[number]
        return f"{value[0]:g}" if self.is_gray else "#{:02x}{:02x}{:02x}".format(*map(int, value))

    def tolerance(self) -> float:
        """How far ringing takes a value from its level."""
        return float(np.ptp(self.values)) * TOLERANCE if self.values.size else 0.0


def read_levels(path: Path, orientation: int) -> Levels:
    """Values of the one picture of a file.

    Args:
      path: the file.
      orientation: EXIF's, that the pixels are turned by.

    Raises:
      InputError: the file cannot be read, or holds several pictures.
    """
    with opened(path) as image:
        if (pages := pages_of(image)) > 1:
            raise InputError(f"holds {pages} pages; a mask has one", path=path)
        is_lossy = image.format in LOSSY_FORMATS
        upright = turned(image, orientation)
        if upright.mode == "P":
            return _of_palette(upright)
        pixels = _pixels(upright, is_lossy=is_lossy)
        if getattr(image, "tag_v2", {}).get(WHITE_IS_ZERO[0]) == WHITE_IS_ZERO[1]:
            pixels = _white_is_zero(pixels) if image.mode in DEEP_MODES else pixels
    index, values = _each_once(pixels)
    return Levels(index, values, None, not is_lossy and len(values) <= FEW)


def real_levels(levels: Levels) -> list[int]:
    """Numbers of the values that cover an area, from the largest area on."""
    if levels.is_exact and len(levels.values) <= 2:
        return np.argsort(-np.bincount(levels.index.ravel())).tolist()
    is_told_apart = levels.is_exact and levels.ids is not None  # whatever the colors are
    tolerance = 0.0 if levels.is_exact else levels.tolerance()
    within = _is_flat(levels, tolerance / 2)
    areas = np.bincount(levels.index[within], minlength=len(levels.values))
    least = 1 if levels.is_exact else max(1, round(MIN_AREA * levels.index.size))
    found: list[int] = []
    for number in np.argsort(-areas, kind="stable"):
        if areas[number] < least:
            break
        away = [np.abs(levels.values[number] - levels.values[f]).max() for f in found]
        if is_told_apart or all(distance > tolerance for distance in away):
            found.append(int(number))
    return found


def _is_flat(levels: Levels, spread: float) -> Bool[np.ndarray, "h w"]:
    """Pixels that are the same as all of their neighbors, up to a spread."""
    if not spread:
        return minimum_filter(levels.index, 3) == maximum_filter(levels.index, 3)
    channels = [column[levels.index] for column in levels.values.T]
    return np.all([maximum_filter(c, 3) - minimum_filter(c, 3) <= spread for c in channels], axis=0)


def _of_palette(image: Image.Image) -> Levels:
    """Ids and their colors; where all of these are one, their opacity is what differs."""
    index, ids = np.unique(np.asarray(image), return_inverse=True)[::-1]
    entries = Image.fromarray(ids.astype(np.uint8)[None], "P")
    entries.putpalette(image.getpalette("RGB") or [], "RGB")
    entries.info.update(image.info)
    values = _without_alpha(np.asarray(entries.convert("RGBA"))).reshape(len(ids), -1)
    values = values.astype(np.float64)
    return Levels(index.reshape(image.size[::-1]), values, tuple(map(int, ids)), len(ids) <= FEW)


def _pixels(image: Image.Image, *, is_lossy: bool) -> NDArray:
    """Pixels (H, W, C) of a picture without a palette; C is 1 where all of them are gray."""
    if image.mode in DEEP_MODES:
        array = np.asarray(image)
        return np.nan_to_num(array.astype(np.float64))[..., None]
    if image.mode == "1":
        return np.asarray(image)[..., None] * np.uint8(255)
    if image.has_transparency_data:
        return _without_alpha(np.asarray(image.convert("RGBA")))
    if image.mode == "L":
        return np.asarray(image)[..., None]
    return _gray_if_all_are(np.asarray(image.convert("RGB")), GRAY_SPREAD * is_lossy)


def _without_alpha(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Opacity where it is all that differs, else the colors on black."""
    colors, alpha = rgba[..., :3], rgba[..., 3:]
    if alpha.min() == alpha.max():
        return _gray_if_all_are(colors)
    drawn = colors[alpha[..., 0] > 0]
    if (drawn == drawn[0]).all():
        return alpha
    return _gray_if_all_are(np.rint(colors * (alpha / 255)).astype(np.uint8))


def _gray_if_all_are(colors: NDArray[np.uint8], spread: int = 0) -> NDArray[np.uint8]:
    """The brightest channel of colors that are all gray, up to a spread."""
    brightest = colors.max(axis=-1, keepdims=True)
    return brightest if (brightest - colors).max(initial=0) <= spread else colors


def _white_is_zero(pixels: NDArray) -> NDArray:
    return 2.0 ** bits_needed([pixels]) - 1 - pixels


def _each_once(pixels: NDArray) -> tuple[NDArray[np.intp], NDArray]:
    """Number of each pixel's value (H, W), and the values (n, C)."""
    flat = pixels.reshape(-1, pixels.shape[-1])
    if flat.shape[1] == 3:  # one number for a color: sorting rows is slow
        flat = flat.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
    values, index = np.unique(flat, return_inverse=True)
    if pixels.shape[-1] == 3:
        values = np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1)
    return index.reshape(pixels.shape[:2]), values.reshape(len(values), -1).astype(np.float64)
