"""One series as the case page carries it: 8-bit voxels and a label map, small enough to send.

A scan that is too large is shown by means of blocks of voxels, a label map by what covers most of
each block. Voxels are kept in levels of Hounsfield units that are fine in soft tissue and coarse in
air and bone, so that every usual window can be set on the page.
"""

import base64
import math
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from core import check
from core.report.overlay import center, require_canonical
from core.volume import Volume

MAX_VOXELS = 16_000_000
"""Of all series of a page: about 6 MB, and 16 MB of memory in the browser."""
LEVELS, LEVELS_HU = (0.0, 28.0, 228.0, 255.0), (-1024.0, -200.0, 300.0, 1324.0)
"""Between these, levels and Hounsfield units run in proportion: 2.5 HU a level in soft tissue."""
SAME_SPACING = 1.01
"""Axes are made coarser together whose voxels differ by less."""

Shape = tuple[int, int, int]


class Panel(NamedTuple):
    """A series, ready to be embedded.

    Args:
      title: above its planes.
      shape: of the voxels shown, (d, h, w).
      source_shape: of the scan.
      block: voxels of the scan that one voxel shown stands for, by axis.
      affine_lps: (4, 4) matrix from (d, h, w, 1) of the voxels shown to LPS millimeters.
      focus_mm: LPS point to begin with: the middle of what is labelled, else of the scan.
      image: levels, packed by `pack`.
      label: ids, likewise; None where there is no label map.
    """

    title: str
    shape: Shape
    source_shape: Shape
    block: Shape
    affine_lps: Float[np.ndarray, "4 4"]
    focus_mm: tuple[float, float, float]
    image: str
    label: str | None


def panel(
    title: str,
    volume: Volume,
    label: UInt8[np.ndarray, "d h w"] | None = None,
    *,
    max_voxels: int = MAX_VOXELS,
) -> Panel:
    """Make a series ready.

    Args:
      title: of the series.
      volume: canonical CT in Hounsfield units.
      label: ids on its grid; None, there are none.
      max_voxels: that are shown at most, `MAX_VOXELS` shared by the series of a page.

    Raises:
      ValueError: the volume is not canonical, or the label map does not lie on its grid.
    """
    require_canonical(volume, [])
    if label is not None:
        check.same_shape(image=volume.array, label=label)
    block = block_of(volume.shape, volume.spacing_mm, max_voxels)
    # By slab: no float copy of a whole scan.
    slabs = [slice(d, d + block[0]) for d in range(0, volume.shape[0], block[0])]
    shown = np.stack([levels(_means(volume.array[slab], block)) for slab in slabs])
    ids = None
    if label is not None:
        ids = np.stack([_most_frequent(label[slab], block) for slab in slabs])
    scale = np.diag([*block, 1.0])
    scale[:3, 3] = (np.array(block) - 1) / 2  # the middle of a block
    return Panel(
        title,
        shown.shape,
        volume.shape,
        block,
        volume.affine_lps @ scale,
        _focus_mm(volume, label),
        pack(shown),
        None if ids is None else pack(ids),
    )


def block_of(shape: Shape, spacing_mm: Sequence[float], max_voxels: int) -> Shape:
    """Smallest blocks that leave at most so many, the finest axes made coarser first."""
    block = [1, 1, 1]
    while math.prod(math.ceil(n / b) for n, b in zip(shape, block, strict=True)) > max_voxels:
        sizes = [
            b * mm if b < n else math.inf for n, b, mm in zip(shape, block, spacing_mm, strict=True)
        ]
        finest = min(sizes) * SAME_SPACING
        block = [b + (size <= finest) for b, size in zip(block, sizes, strict=True)]
    return block[0], block[1], block[2]


def levels(hu: Shaped[np.ndarray, "*s"]) -> UInt8[np.ndarray, "*s"]:
    """8-bit levels of Hounsfield units; what lies beyond the first or last is that one."""
    return np.rint(np.interp(hu, LEVELS_HU, LEVELS)).astype(np.uint8)


def hu_of_levels() -> list[float]:
    """Hounsfield units of the 256 levels."""
    return np.interp(np.arange(256), LEVELS, LEVELS_HU).round(1).tolist()


def pack(array: UInt8[np.ndarray, "d h w"]) -> str:
    """Base64 of the deflated differences of each slice to the one before it, modulo 256."""
    difference = np.diff(array, axis=0, prepend=np.zeros_like(array[:1]))
    return base64.b64encode(zlib.compress(difference.tobytes())).decode()


def _focus_mm(
    volume: Volume, label: UInt8[np.ndarray, "d h w"] | None
) -> tuple[float, float, float]:
    voxel = [n // 2 for n in volume.shape] if label is None else center(label > 0)
    x, y, z = (volume.affine_lps @ [*voxel, 1])[:3].tolist()
    return x, y, z


def _means(slab: Shaped[np.ndarray, "d h w"], block: Shape) -> Float[np.ndarray, "i j"]:
    """Mean of each block; the last of an axis may have fewer voxels."""
    rows, columns = (
        np.diff([*range(0, n, size), n]) for n, size in zip(slab.shape[1:], block[1:], strict=True)
    )
    return _sums(slab, block) / (len(slab) * np.outer(rows, columns))


def _most_frequent(slab: UInt8[np.ndarray, "d h w"], block: Shape) -> UInt8[np.ndarray, "i j"]:
    """Id with the most voxels of each block, the largest of several: half a block is a lesion."""
    ids = np.flatnonzero(np.bincount(slab.ravel()))[::-1].astype(np.uint8)
    return ids[np.argmax([_sums(slab == id_, block) for id_ in ids], axis=0)]


def _sums(slab: Shaped[np.ndarray, "d h w"], block: Shape) -> Float[np.ndarray, "i j"]:
    total = slab.sum(axis=0, dtype=np.float32)
    for axis, size in enumerate(block[1:]):
        lines = np.moveaxis(total, axis, 0)
        total = lines[::size].copy()
        for step in range(1, size):
            others = lines[step::size]
            total[: len(others)] += others
        total = np.moveaxis(total, 0, axis)
    return total
