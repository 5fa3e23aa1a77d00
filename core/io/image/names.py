"""How public data sets name a mask: after its image, or like it in a folder of masks."""

import re
from collections.abc import Iterable
from pathlib import Path

IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentations")
_MASK_SUFFIX = re.compile(r"(.+?)[ _-](?:mask|gt|seg)(?:[ _-]?[0-9]+)?", re.IGNORECASE)


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
