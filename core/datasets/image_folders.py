"""Layouts in which file names pair images with masks.

    images/a.png  masks/a.png                              also below train/, val/ and test/
    benign/benign (1).png  benign/benign (1)_mask.png      BUSI: also _mask_1.png, …

TextSAM-EUS and most published data sets are of the first kind, BUSI of the second. Several masks of
one image ("a_mask.png", "a_mask_1.png") mark parts of its tumor, in either kind.

Source: Al-Dhabyani et al., Dataset of breast ultrasound images, Data in Brief 28, 2020.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from core.datasets.image_files import ORPHAN, PARTS, Found, Layout
from core.io.image.mask import IMAGE_FOLDERS, MASK_FOLDERS, image_stem
from core.io.paths import Skipped


def pair_folders(pictures: Sequence[Path], root: Path) -> Layout | None:
    """Images and masks in folders beside each other; None where there are no such folders."""
    folders = {p.parent for p in pictures}
    beside = {f: _mask_folders(f, folders) for f in folders if f.name.lower() in IMAGE_FOLDERS}
    if not any(beside.values()):
        return None
    images, skipped, used = [], [], set()
    for folder, mask_folders in sorted(beside.items()):
        masks = _by_stem(p for p in pictures if p.parent in mask_folders)
        for image in (p for p in pictures if p.parent == folder):
            image_masks = tuple(masks.get(image.stem, ()))
            used.update((image, *image_masks))
            if image_masks:
                images.append(Found(image, image_masks))
            else:
                skipped.append(Skipped(image, "no mask of its name"))
    skipped += [_left(p) for p in pictures if p not in used]
    return Layout("images and masks", images, skipped)


def pair_suffixes(pictures: Sequence[Path], root: Path) -> Layout | None:
    """Masks beside their images, named after them; None where there is none."""
    known = {(p.parent, p.stem) for p in pictures}
    masks: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for picture in pictures:
        stem = image_stem(picture)
        if stem is not None and (picture.parent, stem) in known:
            masks[picture.parent, stem].append(picture)
    if not masks:
        return None
    are_masks = {mask for several in masks.values() for mask in several}
    images, skipped = [], []
    for image in (p for p in pictures if p not in are_masks):
        image_masks = tuple(masks.get((image.parent, image.stem), ()))
        if image_masks:
            images.append(Found(image, image_masks, _category(image, root)))
        else:
            orphan = image_stem(image) is not None
            skipped.append(Skipped(image, ORPHAN if orphan else "no mask", orphan))
    return Layout("masks beside images", images, skipped)


def _mask_folders(images: Path, folders: Iterable[Path]) -> set[Path]:
    """Folders of masks beside a folder of images."""
    return {f for f in folders if f.parent == images.parent and f.name.lower() in MASK_FOLDERS}


def _by_stem(masks: Iterable[Path]) -> dict[str, list[Path]]:
    """Masks by the stem of their image: their own stem, or its part before "_mask"."""
    stems: dict[str, list[Path]] = defaultdict(list)
    for mask in masks:
        for stem in {mask.stem, image_stem(mask) or mask.stem}:
            stems[stem].append(mask)
    return stems


def _left(picture: Path) -> Skipped:
    """A picture of no pair; of a mask without an image, what it tells is lost."""
    if picture.parent.name.lower() in MASK_FOLDERS:
        return Skipped(picture, ORPHAN, True)
    return Skipped(picture, "neither among the images nor among the masks")


def _category(image: Path, root: Path) -> str | None:
    """Class of an image from the name of its folder; None for the root and for split folders."""
    name = image.parent.name
    return None if image.parent == root or name.lower() in PARTS else name
