"""Check a label map against its image: same grid, declared ids."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from core.errors import InputError
from core.io.remarks import remark
from core.volume import Volume, orientation, reorient, same_grid


def check_ids(label: Volume, allowed: Collection[int], path: str | Path) -> None:
    """Refuse a label map with ids that are not among `allowed`, and list them."""
    unknown = sorted(set(present_ids(label)) - set(allowed))
    if unknown:
        raise InputError(
            f"label ids {unknown} are not declared; expected some of {sorted(allowed)}",
            path=path,
            hint="is it the label map of another data set?",
        )


def present_ids(label: Volume) -> list[int]:
    """Ids that occur in a label map, in ascending order."""
    ids: set[int] = set()
    for section in label.array:  # by slice: a sort of the whole array takes seconds
        ids.update(np.unique(section).tolist())
    return sorted(ids)


def require_same_grid(
    image: Volume, label: Volume, image_path: str | Path, label_path: str | Path
) -> Volume:
    """Label map on the very grid of its image: axes permuted and flipped where they differ.

    Only the origin may differ (some public sets lost it in one of the two files): then voxels are
    matched by index, with a remark.

    Returns:
      The label map with the axes of `image`.

    Raises:
      InputError: shape or spacing differ; both files are named.
    """
    matched = reorient(label, image.direction)
    pair = f"{label_path} does not fit {image_path}"
    if matched.shape != image.shape:
        raise InputError(f"{pair}: shape {matched.shape} against {image.shape} (D, H, W)")
    if not np.allclose(matched.spacing_mm, image.spacing_mm, rtol=1e-3):
        spacings = [tuple(round(s, 4) for s in v.spacing_mm) for v in (matched, image)]
        raise InputError(f"{pair}: spacing {spacings[0]} mm against {spacings[1]} mm (D, H, W)")
    if not same_grid(image, matched):
        if orientation(image) != orientation(label):
            raise InputError(
                f"{pair}: orientation {orientation(label)} against {orientation(image)} and "
                "another position",
                hint="one of the two lost its geometry; copy the right header over",
            )
        remark(label_path, f"lies elsewhere than {image_path}; matched by index")
    return matched
