"""Masks of annotation tools to True and False; masks and probabilities to files and back."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from PIL import Image

from core import check
from core.atomic import aside
from core.errors import InputError
from core.io.image.lesion import lesion_of, named
from core.io.image.levels import read_levels
from core.io.image.still import num_pages, orientation_of, read_image
from core.io.remarks import remark

# How public data sets name a mask: after its image, or like it in a folder of masks.
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentations")
_MASK_SUFFIX = re.compile(r"(.+?)[ _-](?:mask|gt|seg)(?:[ _-]?[0-9]+)?", re.IGNORECASE)


def image_stem(mask: Path) -> str | None:
    """Name of the image that "a_mask", "a_mask_1" or "a-gt" is named after; None for others."""
    match = _MASK_SUFFIX.fullmatch(mask.stem)
    return match.group(1) if match else None


def masks_among(files: Iterable[Path]) -> set[Path]:
    """Files that are masks by name and place: their image, or the images' folder, is there too."""
    files = list(files)
    known = {(file.parent, file.stem) for file in files}
    with_images = {f.parent.parent for f in files if f.parent.name.lower() in IMAGE_FOLDERS}
    return {
        file
        for file in files
        if (file.parent, image_stem(file)) in known
        or (file.parent.name.lower() in MASK_FOLDERS and file.parent.parent in with_images)
    }


def read_mask(
    paths: Sequence[Path],
    *,
    shape: tuple[int, int],
    image_path: str | Path | None = None,
    orientation: int = 1,
    lesion_value: str | None = None,
) -> Bool[np.ndarray, "h w"]:
    """Tumor of an image, (H, W): everything that any of its mask files marks.

    Args:
      paths: mask files; none for an image without a tumor.
      shape: (H, W) of the image.
      image_path: of the image, for messages.
      orientation: that EXIF says of the image.
      lesion_value: the value of the tumor: gray or id of a palette, "2", or color, "#ff0000";
        without, files have two values and the rule of this module tells which it is.

    Raises:
      InputError: a file cannot be read, is no mask, or has another size than the image.
    """
    array = np.zeros(shape, bool)
    for path in paths:
        levels = read_levels(path, _turn(path, orientation, shape))
        _require_shape(levels.index.shape, shape, path, image_path)
        array |= (
            lesion_of(levels, path) if lesion_value is None else named(levels, lesion_value, path)
        )
    return array


def _require_shape(
    own: tuple[int, ...], shape: tuple[int, int], path: Path, image_path: str | Path | None
) -> None:
    if own != shape:
        of = f" {Path(image_path).name}" if image_path is not None else ""
        raise InputError(
            f"the mask has {own[0]} × {own[1]} pixels (rows × columns) and "
            f"its image{of} {shape[0]} × {shape[1]}",
            path=path,
            hint="export the mask at the size of the image",
        )


def _turn(path: Path, of_image: int, shape: tuple[int, int]) -> int:
    """EXIF orientation to turn a mask by: its own, else that of its image, whose pixels it marks.

    A mask without one that is as large as the upright image alone was drawn on that.
    """
    own, stored = orientation_of(path)
    if own == of_image:
        return own
    if own != 1:
        remark(path, f"turned by its EXIF orientation {own}; its image has {of_image}")
        return own
    is_across = of_image >= 5
    if is_across and stored == shape != shape[::-1]:
        remark(path, f"has no EXIF orientation, and the size of its image turned by {of_image}")
        return 1
    remark(path, f"has no EXIF orientation; turned by {of_image}, as its image")
    return of_image


def write_mask(path: str | Path, mask: Bool[np.ndarray, "h w"]) -> Path:
    """Write a mask as an 8-bit PNG of 0 and 255."""
    return _write_png(path, mask.astype(np.uint8) * np.uint8(255))


def read_written_mask(path: Path, *, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
    """Mask (H, W) that `write_mask` wrote, whatever it marks.

    Raises:
      InputError: the file cannot be read, or has another size than its image.
    """
    array = read_image(path).array
    _require_shape(array.shape, shape, path, None)
    return array == 255


def write_probability(path: str | Path, probability: Float[np.ndarray, "h w"]) -> Path:
    """Write probabilities as a 16-bit PNG: 65535 is 1.

    Raises:
      ValueError: a value lies outside [0, 1].
    """
    for value in (probability.min(initial=0), probability.max(initial=0)):
        check.fraction("probability", float(value))
    return _write_png(path, np.rint(probability.astype(np.float64) * 65535).astype(np.uint16))


def read_probability(path: str | Path) -> Float[np.ndarray, "h w"]:
    """Probabilities (H, W) that `write_probability` wrote, within 1/131070.

    Raises:
      InputError: it is no 16-bit gray PNG.
    """
    num_pages(path)  # refuses what is no picture
    with Image.open(path) as image:
        if not image.mode.startswith("I"):
            raise InputError("a probability map is a 16-bit gray PNG", path=path)
        return (np.asarray(image) / 65535).astype(np.float32)


def _write_png(path: str | Path, array: NDArray) -> Path:
    with aside(path) as temporary:
        Image.fromarray(np.ascontiguousarray(array)).save(temporary, format="PNG")
    return Path(path)
