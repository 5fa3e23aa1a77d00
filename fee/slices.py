"""From a CT volume to the 8-bit slices that all networks see, and masks of them back to the volume.

Slices are canonical: they follow each other to the head, their rows run to the back and their
columns to the left, as radiologists see them.
"""

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from core import check
from core.datasets.pancreas import PANCREAS, TUMOR
from core.preprocess.intensity import window
from core.preprocess.resize import resize_gray, resize_mask
from core.volume import Volume, canonical
from fee.config import PrepareConfig


def to_slices(volume: Volume, cfg: PrepareConfig) -> UInt8[np.ndarray, "d s s"]:
    """Gray slices of a CT: 255 (hu − low) / (high − low), clipped and rounded, then resized.

    Args:
      volume: HU in any orientation.
      cfg: window and size.
    """
    low, high = cfg.window_hu
    array = canonical(volume).array
    slices = np.empty((len(array), cfg.size, cfg.size), np.uint8)
    for d, hu in enumerate(array):  # by slice: no float copy of a whole scan
        share = (window(hu, low, high).astype(np.float32) - low) / (high - low)
        slices[d] = resize_gray(np.rint(share * 255).astype(np.uint8), (cfg.size, cfg.size))
    return slices


def to_mask_slices(label: Volume, cfg: PrepareConfig) -> UInt8[np.ndarray, "d s s"]:
    """Ids of the slices of a label map: 1 pancreas, 2 tumor.

    A pixel is pancreas, and in it tumor, where at least half of it is.

    Args:
      label: ids 0, 1, 2 on the grid of its CT.
      cfg: size.
    """
    size = (cfg.size, cfg.size)
    return np.stack(
        [
            np.add(
                resize_mask(ids >= PANCREAS, size),
                resize_mask(ids >= PANCREAS, size) & resize_mask(ids == TUMOR, size),
                dtype=np.uint8,
            )
            for ids in canonical(label).array
        ]
    )


def to_volume(mask: NDArray[np.uint8], volume: Volume) -> Volume:
    """Mask of a volume's slices on the volume's canonical grid: each voxel that of its pixel.

    Args:
      mask: (d, s, s) of every slice that `to_slices(volume, …)` gave.
      volume: the CT.

    Raises:
      ValueError: another number of slices than the volume has.
    """
    grid = canonical(volume)
    check.rank("mask", mask, 3)
    if len(mask) != grid.shape[0]:
        raise ValueError(f"mask has {len(mask)} slices and the volume {grid.shape[0]}")
    rows, columns = (
        _nearest(n, size) for n, size in zip(grid.shape[1:], mask.shape[1:], strict=True)
    )
    return grid.with_array(mask[:, rows][:, :, columns])


def _nearest(num: int, size: int) -> NDArray[np.intp]:
    """For each of `num` voxels, which of `size` pixels over the same length holds its center."""
    return ((2 * np.arange(num) + 1) * size) // (2 * num)
