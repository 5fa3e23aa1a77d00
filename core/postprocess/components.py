"""Connected components of a mask, and which of them to keep."""

from math import ceil
from typing import Literal

import cc3d
import numpy as np
from jaxtyping import Bool, UInt32
from scipy.ndimage import distance_transform_edt

from core import check
from core.preprocess.crop import Box, bounding_box, crop, grow

Neighbors = Literal[6, 18, 26]


def components(
    mask: Bool[np.ndarray, "d h w"], *, neighbors: Neighbors
) -> tuple[UInt32[np.ndarray, "d h w"], np.ndarray]:
    """Number the connected components of a mask.

    Args:
      mask: bool (d, h, w).
      neighbors: 6 voxels that share a face, 18 also those that share an edge, 26 also a corner.

    Returns:
      Ids (d, h, w), 0 outside the mask and 1, 2, … inside; and the voxels of each, (n,) for id
      1, 2, ….

    Raises:
      ValueError: if the mask is not bool (d, h, w), or `neighbors` is another number.
    """
    check.rank("mask", mask, 3)
    check.one_of("mask.dtype", mask.dtype, (np.dtype(bool),))
    check.one_of("neighbors", neighbors, (6, 18, 26))
    # As bytes that follow each other: of a single row, cc3d 4.1 miscounts bool, and ignores the
    # steps between the voxels of a view.
    dense = np.ascontiguousarray(mask).view(np.uint8)
    ids = cc3d.connected_components(dense, connectivity=neighbors, out_dtype=np.uint32)
    # numpy's bincount would first copy the ids to int64: 1.4 GB for a scan.
    return ids, cc3d.statistics(ids, no_slice_conversion=True)["voxel_counts"][1:]


def keep_large(
    mask: Bool[np.ndarray, "d h w"],
    fraction_of_largest: float,
    *,
    neighbors: Neighbors,
    near_voxels: float = 0.0,
) -> Bool[np.ndarray, "d h w"]:
    """Keep the components larger than a fraction of the largest one, or near it.

    Args:
      mask: bool (d, h, w).
      fraction_of_largest: 0.2 keeps 21 voxels beside 100, and drops 20.
      neighbors: 6, 18 or 26.
      near_voxels: components nearer than this to the largest stay, too: least distance between
        voxels of both, in voxels whatever their spacing.

    Returns:
      The mask without the small components; the largest always stays.

    Source: Zhu et al. 2019, Sec. 2.3, with 0.2 and 6 neighbours; 2020, Sec. 2.2, with 27 voxels.
    """
    check.fraction("fraction_of_largest", fraction_of_largest)
    check.at_least("near_voxels", near_voxels, 0)
    ids, sizes = components(mask, neighbors=neighbors)
    if sizes.size == 0:
        return mask.copy()
    kept = (sizes > fraction_of_largest * sizes.max()) | (sizes == sizes.max())
    if near_voxels and not kept.all():
        kept[_near(ids, ids == 1 + np.argmax(sizes), near_voxels)] = True
    return np.append(False, kept)[ids]


def _near(
    ids: UInt32[np.ndarray, "d h w"], largest: Bool[np.ndarray, "d h w"], near_voxels: float
) -> np.ndarray:
    """Places in `sizes` of the components with a voxel nearer than that to the largest."""
    own = bounding_box(largest) or Box((0, 0, 0), ids.shape)
    box = grow(own, ceil(near_voxels), ids.shape)
    distance = np.asarray(distance_transform_edt(~crop(largest, box)))
    touched = np.unique(crop(ids, box)[distance < near_voxels])
    return touched[touched > 0] - 1
