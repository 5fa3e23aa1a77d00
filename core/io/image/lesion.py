"""Which value of a mask file is the tumor.

A mask has two values (0 and 1, 0 and 255, any two): the brighter is the tumor, of a palette of
colors the larger id, and black is never the tumor. Values between the two are borders, of JPEG or
of smooth drawing, and cut in the middle. What has more values, or marks all around the picture,
needs a word from the user: the tumor may be any.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from core.errors import InputError
from core.io.image.levels import Levels, real_levels
from core.io.remarks import remark

HINT = (
    "write the lesion as 255 and all else as 0, or name its value (eusdaf prepare and train: "
    "--prepare.lesion-value, eusdaf evaluate: --lesion-value)"
)
SMALL = 127
"""Several exact values up to here are ids of labels, not shades of one drawing."""
NOISE = 32
"""Largest of many values that compression makes of black."""
TOLD_SHARE, MAX_SHARE = 0.01, 0.12
"""Of pixels between two values: borders have few."""
LARGE_SHARE = 0.5
"""Of the picture, and of its border, that a mask marks at most."""
MAX_LISTED = 5


class UnclearMaskError(InputError):
    """A mask whose values do not tell what is marked; a word of the user may."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message, path=path, hint=HINT)


def lesion_of(levels: Levels, path: Path) -> Bool[np.ndarray, "h w"]:
    """Tumor (H, W) of a mask with two values at most.

    Args:
      levels: of the file.
      path: its name, for messages and remarks.

    Raises:
      UnclearMaskError: the values are no mask's, or mark most of the picture's border.
    """
    if len(levels.values) == 1:
        return _checked(np.full(levels.index.shape, not _is_background(levels, 0)), levels, path)
    low, high = _two(levels, path)
    along = _along(levels, low, high)
    between = ((along > 1 / 8) & (along < 7 / 8) | _is_other(levels, low, high))[levels.index]
    share = between.mean()
    if share > MAX_SHARE:
        raise UnclearMaskError(
            f"is no mask, {share:.0%} of its pixels lie between {levels.name(low)} and "
            f"{levels.name(high)}, as in a photograph or an overlay",
            path,
        )
    if share > TOLD_SHARE:
        middle = (levels.values[low] + levels.values[high]) / 2
        at = f"{int(middle[0])}" if levels.is_gray else "the middle"
        remark(path, f"{share:.1%} of the mask is gray; cut at {at}")
    return _checked((along > 0.5)[levels.index], levels, path)


def named(levels: Levels, value: str, path: Path) -> Bool[np.ndarray, "h w"]:
    """Pixels (H, W) of one value; where compression spread it, those that are closest to it.

    Args:
      levels: of the file.
      value: id of a palette, gray, or "#rrggbb".
      path: its name, for messages.

    Raises:
      InputError: a number, where the file has colors.
    """
    if not value.startswith("#") and levels.ids is None and not levels.is_gray:
        listed = _listed(levels, real_levels(levels))
        hint = "name the lesion's color, such as #ff0000"
        raise InputError(f"has colors ({listed}), and no value {value}", path=path, hint=hint)
    marked = _has_value(levels, value)
    if not marked.any() and not all(_is_background(levels, n) for n in range(len(levels.values))):
        remark(path, f"has no value {value}, only {_listed(levels, real_levels(levels))}")
    return marked[levels.index]


def _has_value(levels: Levels, value: str) -> Bool[np.ndarray, " n"]:
    """Which values are meant by the name of one."""
    if not value.startswith("#") and levels.ids is not None:
        return np.array(levels.ids) == int(value)
    wanted = np.array(_channels(value) if value.startswith("#") else [float(value)])
    away = np.abs(levels.values - wanted).max(axis=1)
    if levels.is_exact:
        return away == 0
    others = np.array([levels.values[n] for n in real_levels(levels)] or levels.values)
    others = others[np.abs(others - wanted).max(axis=1) > levels.tolerance()]
    nearest = np.abs(levels.values[:, None] - others).max(axis=2).min(axis=1, initial=np.inf)
    return (away <= levels.tolerance()) & (away < nearest)


def _channels(color: str) -> list[float]:
    return [float(int(color[i : i + 2], 16)) for i in (1, 3, 5)]


def _two(levels: Levels, path: Path) -> tuple[int, int]:
    """Numbers of the background and of the tumor."""
    real = real_levels(levels)
    if len(real) == 1:  # what is drawn is too small for an area
        away = np.abs(levels.values - levels.values[real[0]]).max(axis=1)
        real.append(int(away.argmax()))
    if len(real) != 2 or _is_label_map(levels, real):
        raise UnclearMaskError(_too_many(levels, real), path)
    first, second = sorted(real)
    if _is_background(levels, first) != _is_background(levels, second):
        return (first, second) if _is_background(levels, first) else (second, first)
    if levels.ids is not None and not _is_gray_palette(levels):
        return first, second
    brightness = levels.values[[first, second]].max(axis=1)
    if abs(brightness[1] - brightness[0]) < levels.tolerance() or brightness[0] == brightness[1]:
        raise UnclearMaskError(
            f"either of {_listed(levels, [first, second])} may be the lesion", path
        )
    return (first, second) if brightness[0] < brightness[1] else (second, first)


def _too_many(levels: Levels, real: list[int]) -> str:
    if levels.is_exact:
        return (
            f"holds the values {_listed(levels, list(range(len(levels.values))))}; a mask has two"
        )
    listed = f"holds the values {_listed(levels, sorted(real))} and more" if real else "is no mask"
    return f"{listed}, as a photograph or an overlay does; a mask has two"


def _is_label_map(levels: Levels, real: list[int]) -> bool:
    """Whether further values are ids, or colors apart, and not shades between the two."""
    if len(levels.values) == 2:
        return False
    is_whole = bool((levels.values == np.rint(levels.values)).all())
    if is_whole and levels.values.max() <= (SMALL if levels.is_exact else NOISE):
        return True
    return levels.is_exact and bool(_is_other(levels, *sorted(real)).any())


def _is_background(levels: Levels, number: int) -> bool:
    """Whether a value is black; of a palette all of whose colors are one, the first id."""
    if len(np.unique(levels.values, axis=0)) == 1 and levels.ids is not None:
        return levels.ids[number] == 0
    return not levels.values[number].any()


def _is_gray_palette(levels: Levels) -> bool:
    return levels.is_gray and len(np.unique(levels.values)) == len(levels.values)


def _along(levels: Levels, low: int, high: int) -> np.ndarray:
    """Where each value lies on the way from one to another: 0 is the first, 1 the second."""
    way = levels.values[high] - levels.values[low]
    if not way.any():
        return (np.arange(len(levels.values)) == high).astype(float)
    return (levels.values - levels.values[low]) @ way / (way @ way)


def _is_other(levels: Levels, low: int, high: int) -> np.ndarray:
    """Values that are far off the way between two."""
    way = levels.values[high] - levels.values[low]
    on = levels.values[low] + np.clip(_along(levels, low, high), 0, 1)[:, None] * way
    return np.abs(levels.values - on).max(axis=1) > 2 * levels.tolerance()


def _listed(levels: Levels, numbers: list[int]) -> str:
    names = [levels.name(n) for n in numbers[:MAX_LISTED]]
    return ", ".join(names) + (", …" if len(numbers) > MAX_LISTED else "")


def _checked(mask: np.ndarray, levels: Levels, path: Path) -> np.ndarray:
    """The mask; refused where it marks the border of the picture too, told where it is large."""
    share = mask.mean()
    if share <= LARGE_SHARE:
        return mask
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean()
    if border > LARGE_SHARE:
        raise UnclearMaskError(
            f"marks {share:.0%} of the image and {border:.0%} of its border; is it inverted?", path
        )
    remark(path, f"marks {share:.0%} of the image; is it inverted?")
    return mask
