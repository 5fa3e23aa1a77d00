"""Masks as annotation tools write them, to True and False; masks and probabilities back to files.

A file of two values (0 and 1, 0 and 255, any two) is a mask as it stands: the larger is the tumor.
More than two values are gray borders, of JPEG or of smooth drawing: the tumor is above 127.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from PIL import Image

from core import check
from core.atomic import aside
from core.errors import InputError
from core.io.image.still import num_pages, read_image

THRESHOLD = 127
# Ringing of JPEG stays below an eighth of the range; beyond it a value is between the two.
IN_BETWEEN = (32, 223)
GRAY_SHARE = 0.01
LARGE_SHARE = 0.5
# How public data sets name a mask: after its image, or like it in a folder of masks.
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentations")
_MASK_SUFFIX = re.compile(r"(.+?)[ _-](?:mask|gt|seg)(?:[ _-]?[0-9]+)?", re.IGNORECASE)


class Mask(NamedTuple):
    """Where the tumor is.

    Args:
      array: (H, W).
      notes: what is odd about the files, one line each.
    """

    array: Bool[np.ndarray, "h w"]
    notes: tuple[str, ...]


def image_stem(mask: Path) -> str | None:
    """Name of the image that "a_mask", "a_mask_1" or "a-gt" is named after; None for others."""
    found = _MASK_SUFFIX.fullmatch(mask.stem)
    return found.group(1) if found else None


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
    paths: Sequence[Path], *, shape: tuple[int, int], image_path: str | Path | None = None
) -> Mask:
    """Tumor of an image: everything that any of its mask files marks.

    Args:
      paths: mask files; none for an image without a tumor.
      shape: (H, W) of the image.
      image_path: of the image, for messages.

    Raises:
      InputError: a file cannot be read, is no mask, or has another size than the image.
    """
    array, notes = np.zeros(shape, bool), []
    for path in paths:
        values = _read_gray(path)
        if values.shape != shape:
            of = f" {Path(image_path).name}" if image_path is not None else ""
            raise InputError(
                f"the mask has {values.shape[0]} × {values.shape[1]} pixels (rows × columns) and "
                f"its image{of} {shape[0]} × {shape[1]}",
                path=path,
                hint="export the mask at the size of the image",
            )
        marked, gray_share = _binary(values, path)
        array |= marked
        if gray_share > GRAY_SHARE:
            notes.append(f"{path.name}: {gray_share:.1%} of the mask is gray; cut at {THRESHOLD}")
        if marked.mean() > LARGE_SHARE:
            notes.append(f"{path.name}: marks {marked.mean():.0%} of the image; is it inverted?")
    return Mask(array, tuple(notes))


def write_mask(path: str | Path, mask: Bool[np.ndarray, "h w"]) -> Path:
    """Write a mask as an 8-bit PNG of 0 and 255."""
    return _write_png(path, mask.astype(np.uint8) * np.uint8(255))


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


def _read_gray(path: Path) -> NDArray[np.uint8]:
    """Brightest channel (H, W): a mask may be drawn in red."""
    if (pages := num_pages(path)) > 1:
        raise InputError(f"holds {pages} pages; a mask has one", path=path)
    array = read_image(path).array
    return array if array.ndim == 2 else array.max(axis=2)


def _binary(values: NDArray[np.uint8], path: Path) -> tuple[NDArray[np.bool_], float]:
    """Tumor (H, W), and the share of pixels that are neither black nor white."""
    found = np.unique(values)
    if len(found) <= 2:
        return (values == found[-1]) & (values > 0), 0.0
    if found[-1] <= THRESHOLD:
        listed = ", ".join(map(str, found[:5])) + (", …" if len(found) > 5 else "")
        raise InputError(
            f"the values {listed} are no mask: expected 0 and 1, or 0 and 255",
            path=path,
            hint="write the tumor as 255 and all else as 0",
        )
    between = (values > IN_BETWEEN[0]) & (values < IN_BETWEEN[1])
    return values > THRESHOLD, float(between.mean())


def _write_png(path: str | Path, array: NDArray) -> Path:
    with aside(path) as temporary:
        Image.fromarray(np.ascontiguousarray(array)).save(temporary, format="PNG")
    return Path(path)
