"""Lesions of a label map as a list: how large each is, and where."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

from core.data.patches import middle_voxel
from core.postprocess.components import components
from core.postprocess.lesion import LesionSize, measure
from core.preprocess.crop import bounding_box, crop
from core.volume import Volume

MAX_FINDINGS = 50
"""Of each class, the largest: noise may leave thousands of single voxels."""


class Finding(NamedTuple):
    """One place that a reader should look at.

    Args:
      name: such as "tumor 1".
      center_mm: LPS point (x, y, z) inside it.
      slice_number: axial slice through that point, from 1 at the feet.
      ml: its volume; None where it is no object.
      long_axis_mm: longest diameter in an axial slice, over all slices (RECIST 1.1); None likewise.
      short_axis_mm: across it, in the same slice.
      note: what else is known of it.
    """

    name: str
    center_mm: tuple[float, float, float]
    slice_number: int
    ml: float | None = None
    long_axis_mm: float | None = None
    short_axis_mm: float | None = None
    note: str = ""


def find_lesions(
    volume: Volume, label: UInt8[np.ndarray, "d h w"], names: Mapping[int, str]
) -> list[Finding]:
    """Connected components of some classes, class by class, the largest first.

    Args:
      volume: canonical, for its grid alone.
      label: ids on it.
      names: of the classes that are lesions, by id. Voxels that share a corner are of one lesion.

    Source: Eisenhauer et al. 2009, Eur J Cancer 45 (axes).
    """
    found = []
    for id_, name in names.items():
        box = bounding_box(label == id_)
        if box is None:
            continue
        ids, voxels = components(crop(label, box) == id_, neighbors=26)
        places = ndimage.find_objects(ids.view(np.int32))
        largest = np.argsort(-voxels.astype(np.int64), kind="stable")[:MAX_FINDINGS]
        for number, i in enumerate(largest, start=1):
            start = [a + place.start for a, place in zip(box.start, places[i], strict=True)]
            found.append(_described(f"{name} {number}", volume, ids[places[i]] == i + 1, start))
    return found


def _described(
    name: str, volume: Volume, mask: Bool[np.ndarray, "d h w"], start: Sequence[int]
) -> Finding:
    """A lesion, from its mask in a box that starts there."""
    size = _longest(mask, volume.spacing_mm)
    voxel = middle_voxel(np.argwhere(mask)) + start
    x, y, z = (volume.affine_lps @ [*voxel, 1])[:3].tolist()
    return Finding(
        name,
        (x, y, z),
        int(voxel[0]) + 1,
        ml=int(np.count_nonzero(mask)) * volume.voxel_mm3 / 1000,
        long_axis_mm=size.long_axis_mm,
        short_axis_mm=size.short_axis_mm,
    )


def _longest(mask: Bool[np.ndarray, "d h w"], spacing_mm: tuple[float, float, float]) -> LesionSize:
    """Size in the axial slice where the lesion is longest."""
    sizes = (measure(plane, spacing_mm=spacing_mm[1:]) for plane in mask if plane.any())
    return max(sizes, key=lambda size: size.long_axis_mm)
