"""The slices that show most of the tumor, and pictures and boxes around it (Sec. III-B, IV-A).

Slices run as the axes of a prepared case do: rows and columns of an axial one to the back and to
the left, of a coronal one to the head and to the left, of a sagittal one to the head and to the
back. Voxels stay as they are: where slices are 0.80 mm apart and pixels 0.68 mm, coronal and
sagittal pictures are 0.80 × 0.68 mm a pixel.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int16, UInt8
from numpy.typing import NDArray

from core.data import patches
from core.data.cache import Stored
from core.datasets.channels import Phase
from lnmet.config import Axes
from lnmet.status.config import KEPT_SLICES

PLANES = ("axial", "coronal", "sagittal")
"""Across the axes d, h and w of a case."""
CENTER = "tumor_center"
"""In the meta of a prepared case."""


class Slices(NamedTuple):
    """Slices of one plane, the one with the largest tumor area first.

    Args:
      image: HU int16 (k, i, j, c), whole slices.
      mask: uint8 (k, i, j), 1 in the tumor, which each shows.
    """

    image: Stored
    mask: Stored


class Tumor(NamedTuple):
    """What is kept of a tumor to make pictures of.

    Args:
      planes: by `PLANES`.
      center: voxel (d, h, w) nearest to its centroid.
    """

    planes: tuple[Slices, ...]
    center: tuple[int, ...]


class Scan(NamedTuple):
    """Where pictures of a patient come from.

    Args:
      phases: channels of the image.
      image: HU int16 (d, h, w, c).
      label: ids (d, h, w).
      tumor_id: of the tumor among them.
      tumor: its slices.
    """

    phases: Sequence[Phase]
    image: Stored
    label: Stored
    tumor_id: int
    tumor: Tumor


def tumor_of(image: Int16[np.ndarray, "d h w c"], mask: Bool[np.ndarray, "d h w"]) -> Tumor | None:
    """Slices of the largest tumor area in each plane; None where there is no tumor."""
    if not mask.any():
        return None
    planes = []
    for axis in range(len(PLANES)):
        chosen = largest_slices(mask, axis)
        hu, in_tumor = (np.stack([a.take(i, axis) for i in chosen]) for a in (image, mask))
        planes.append(Slices(hu, in_tumor.astype(np.uint8)))
    return Tumor(tuple(planes), centroid(mask))


def largest_slices(mask: Bool[np.ndarray, "d h w"], axis: int) -> list[int]:
    """Indices along an axis of the slices with the largest tumor area, the largest first.

    Of equal areas the one with the lower index comes first. Where fewer slices than `KEPT_SLICES`
    show the tumor, there are fewer.
    """
    others = tuple(a for a in range(mask.ndim) if a != axis)
    areas = np.count_nonzero(mask, axis=others)
    order = np.argsort(-areas, kind="stable")[:KEPT_SLICES]
    return [int(index) for index in order if areas[index]]


def centroid(mask: Bool[np.ndarray, "*s"] | UInt8[np.ndarray, "*s"]) -> tuple[int, ...]:
    """Index nearest to the mean index of what is true, halves rounded up."""
    return tuple(int(np.floor(np.mean(index) + 0.5)) for index in np.nonzero(mask))


def to_arrays(tumor: Tumor | None) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Arrays and meta of a prepared case; none without a tumor."""
    if tumor is None:
        return {}, {CENTER: None}
    arrays = {}
    for plane, slices in zip(PLANES, tumor.planes, strict=True):
        arrays[f"tumor_{plane}"], arrays[f"tumor_{plane}_mask"] = slices
    return arrays, {CENTER: tumor.center}


def from_arrays(arrays: Mapping[str, Stored], meta: Mapping[str, Any]) -> Tumor | None:
    """The inverse of `to_arrays`; slices stay on disk."""
    if meta[CENTER] is None:
        return None
    planes = (Slices(arrays[f"tumor_{p}"], arrays[f"tumor_{p}_mask"]) for p in PLANES)
    return Tumor(tuple(planes), tuple(meta[CENTER]))


def picture(
    tumor: Tumor, plane: int, rank: int, *, size: int, channels: Sequence[int], outside_hu: int
) -> dict[str, NDArray]:
    """A square around the tumor of one slice.

    The centroid of the tumor in the slice comes to index size // 2 of both axes.

    Args:
      tumor: of the case.
      plane: index in `PLANES`.
      rank: of the slice by its area, 0 is the largest. Where a plane has too few slices, they come
        again, so that every patient has as many pictures.
      size: side, in voxels.
      channels: of the image, in the wanted order.
      outside_hu: of what lies outside the scan.

    Returns:
      {"image": HU int16 (size, size, c), "mask": uint8 (size, size)}.
    """
    slices = tumor.planes[plane]
    which = rank % len(slices.mask)
    mask = slices.mask[which]
    start = [middle - size // 2 for middle in centroid(mask)]
    image = patches.extract(slices.image[which], start, (size, size), outside_hu)
    return {
        "image": np.ascontiguousarray(image[..., list(channels)]),
        "mask": patches.extract(mask, start, (size, size), 0),
    }


def box(scan: Scan, *, shape: Axes, channels: Sequence[int], outside_hu: int) -> dict[str, NDArray]:
    """A box around the tumor, whose center comes to index shape // 2.

    Args:
      scan: of the patient.
      shape: voxels (d, h, w) of the box.
      channels: of the image, in the wanted order.
      outside_hu: of what lies outside the scan.

    Returns:
      {"image": HU int16 (*shape, c), "mask": uint8 shape}.
    """
    start = [middle - n // 2 for middle, n in zip(scan.tumor.center, shape, strict=True)]
    image = patches.extract(scan.image, start, shape, outside_hu)
    in_tumor = patches.extract(scan.label, start, shape, 0) == scan.tumor_id
    return {
        "image": np.ascontiguousarray(image[..., list(channels)]),
        "mask": in_tumor.astype(np.uint8),
    }
