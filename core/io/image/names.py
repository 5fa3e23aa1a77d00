"""How public data sets name a mask: after its image, or like it in a folder of masks."""

import re
from pathlib import Path

# images/a.png and masks/a.png; the folder of the images → names of the folder of the masks.
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "segmentations")
_MASK_SUFFIX = re.compile(r"(.+?)[ _-](?:mask|gt|seg)(?:[ _-]?\d+)?", re.IGNORECASE)


def image_stem(mask: Path) -> str | None:
    """Name of the image that "a_mask", "a_mask_1" or "a-gt" is named after; None for others."""
    found = _MASK_SUFFIX.fullmatch(mask.stem)
    return found.group(1) if found else None


def is_mask(path: Path) -> bool:
    """Whether a file is a mask by its name and place: its image or the images' folder is there."""
    stem = image_stem(path)
    if stem and any(other.stem == stem for other in path.parent.glob(f"{_escaped(stem)}.*")):
        return True
    beside = path.parent.parent
    return path.parent.name.lower() in MASK_FOLDERS and any(
        (beside / name).is_dir() for name in (*IMAGE_FOLDERS, *map(str.capitalize, IMAGE_FOLDERS))
    )


def _escaped(stem: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", stem)
