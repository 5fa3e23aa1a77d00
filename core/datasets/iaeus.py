"""Folders of exams, with one folder per class and one of masks in each, as IAEUS is described.

    [train|test]/EXAM/Adenocarcinome/a.png
    [train|test]/EXAM/Tumor mask/a.png          marks the tumor of the image of the same name
    [train|test]/EXAM/Hors pancreas/b.png       no tumor

The images are given out on request only, so this is what the publication says and no more: an exam
is a patient; an image with a mask shows a tumor, whatever its class; an image of a class of tumors
without a mask is left out, for its truth is not known; "To discard" is left out; every other class
shows none. A folder holds the exam's classes if one of them is called "Tumor mask", in any case.

Source: IAEUS, Journal of Imaging Informatics in Medicine, 2025.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from core.datasets.image_files import ORPHAN, Found, Layout
from core.io.image.mask import image_stem
from core.io.paths import Skipped

MASKS, DISCARDED = "tumor mask", "to discard"
TUMOR_CLASSES = ("tumor", "difficile", "adenocarcinome", "tumeur endocrine")
CLASSES = (*TUMOR_CLASSES, "hors pancreas", DISCARDED, MASKS)


def pair_exams(pictures: Sequence[Path], root: Path) -> Layout | None:
    """Images of exams with their masks; None where no folder is called "Tumor mask"."""
    if not any(_class(p) == MASKS for p in pictures):
        return None
    exams: dict[Path, list[Path]] = defaultdict(list)
    images, skipped = [], []
    for picture in pictures:
        if _class(picture) in CLASSES:
            exams[picture.parent.parent].append(picture)
        else:
            skipped.append(Skipped(picture, f"in no class of {', '.join(CLASSES)}"))
    for exam, members in exams.items():
        name = exam.relative_to(root).as_posix() if exam != root else root.name
        taken, left = _pair(members, name)
        images += taken
        skipped += left
    return Layout("exams with classes", images, skipped)


def _pair(members: Sequence[Path], exam: str) -> tuple[list[Found], list[Skipped]]:
    """Pair the images of one exam; of several classes of an image the more specific one counts."""
    masks: dict[str, list[Path]] = defaultdict(list)
    for mask in (p for p in members if _class(p) == MASKS):
        masks[image_stem(mask) or mask.stem].append(mask)
    images: dict[str, Found] = {}
    skipped = []
    for image in sorted((p for p in members if _class(p) != MASKS), key=_rank):
        image_masks = tuple(masks.get(image.stem, ()))
        if image.stem in images:
            reason = f"also in class {images[image.stem].category}"
            skipped.append(Skipped(image, reason))
        elif _class(image) == DISCARDED:
            skipped.append(Skipped(image, "of the class to discard"))
        elif not image_masks and _class(image) in TUMOR_CLASSES:
            skipped.append(Skipped(image, "of a class of tumors, without a mask"))
        else:
            images[image.stem] = Found(image, image_masks, image.parent.name, exam)
    stems = {p.stem for p in members if _class(p) != MASKS}
    orphans = [m for stem, several in masks.items() if stem not in stems for m in several]
    return list(images.values()), skipped + [Skipped(m, ORPHAN, True) for m in orphans]


def _class(picture: Path) -> str:
    return picture.parent.name.lower().replace("_", " ").strip()


def _rank(image: Path) -> tuple[int, Path]:
    """Sort key of classes: "To discard" first, then specific tumor types before "Tumor"."""
    order = (DISCARDED, "adenocarcinome", "tumeur endocrine", "difficile", "tumor", "hors pancreas")
    return order.index(_class(image)), image
