"""A folder per case with ct.nii.gz in it, and a mask per class: what three public sets share."""

from collections.abc import Iterable
from pathlib import Path

from core.datasets.case import Case
from core.datasets.class_masks import masks_in
from core.io.paths import Skipped, on_disk
from core.names import normal

IMAGE, MASKS = "ct.nii.gz", "segmentations"


def cases_of_folders(
    folders: Iterable[tuple[Path, Path]], *, combined: str | None = None
) -> tuple[list[Case], list[Skipped]]:
    """Labelled cases of folders, and those that lack something.

    Args:
      folders: of the image of a case, whose name is its id, and of its labels, often the same.
      combined: name of a label map that stands in for masks where there are none.
    """
    cases, skipped = {}, []
    for place, labels in folders:
        image, masks, id_ = place / IMAGE, masks_in(labels / MASKS), normal(place.name)
        label = None if combined is None or masks else on_disk(labels / combined)
        if not image.is_file():
            skipped.append(Skipped(place, f"has no {IMAGE}: it was given out without"))
        elif not masks and (label is None or not label.is_file()):
            skipped.append(Skipped(image, "has no labels"))
        elif id_ in cases:
            skipped.append(Skipped(image, f"has the name of {cases[id_].images[0]}", True))
        else:
            cases[id_] = Case(id_, id_, (image,), label, masks)
    return [cases[id_] for id_ in sorted(cases)], skipped
