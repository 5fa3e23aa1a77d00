"""Sort the files of an image data set by name alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from core.io.image.still import ENDINGS as IMAGE_ENDINGS
from core.io.paths import Skipped, below, is_shadow, natural, unique_ids

ENDINGS = (*IMAGE_ENDINGS, ".dcm")
PARTS = ("train", "training", "val", "valid", "validation", "test", "testing")
"""Folders that only say which part of a split an image is in."""

ORPHAN = "mask without an image"
"""Why a mask is not used: an annotated picture is lost."""


class Found(NamedTuple):
    """An image that a layout knows, before it has an id and a patient.

    Args:
      image: its file.
      masks: its mask files.
      category: class, if the layout has any.
      exam: what groups the images of one patient, if the layout has any.
    """

    image: Path
    masks: tuple[Path, ...]
    category: str | None = None
    exam: str | None = None


class Layout(NamedTuple):
    """What a layout made of the files it was given.

    Args:
      name: of the layout.
      found: images with their masks.
      skipped: all other files.
    """

    name: str
    found: list[Found]
    skipped: list[Skipped]


def sort_out(files: Iterable[Path]) -> tuple[list[Path], list[Skipped]]:
    """Images and masks in natural order, and everything else with its reason."""
    pictures, skipped = [], []
    for file in sorted(files, key=natural):
        if is_shadow(file) or file.name.startswith("."):
            skipped.append(Skipped(file, "hidden or macOS shadow file"))
        elif file.suffix.lower() not in ENDINGS:
            skipped.append(Skipped(file, f"no image by its ending {file.suffix!r}"))
        else:
            pictures.append(file)
    return pictures, skipped


def ids_of(images: Iterable[Path], root: Path) -> list[str]:
    """One id per image: its file name where that is unique, else its path below the root."""
    images = list(images)
    stems = [image.stem for image in images]
    if len(set(stems)) < len(stems):
        stems = [below(image, root, (image.suffix,)) for image in images]
    return unique_ids(stems, instead="image")
