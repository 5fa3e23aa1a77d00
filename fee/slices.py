"""From a CT volume to the 8-bit slices that all networks see, and masks of them back to the volume.

Slices are canonical: they follow each other to the head, their rows run to the back and their
columns to the left, as radiologists see them.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from core import check
from core.commands.sources import Made, digest
from core.datasets.pancreas import IGNORE, PANCREAS, TUMOR
from core.errors import InputError
from core.preprocess.appearance import appearance_of
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


def num_bytes(num_slices: int, cfg: PrepareConfig) -> int:
    """What a prepared stack takes on disk at most: gray slices, and masks of them."""
    return 2 * num_slices * cfg.size**2


def make(
    read: Callable[[], tuple[Volume, Volume | None]], cfg: PrepareConfig, *, labels_tumors: bool
) -> Made:
    """Arrays and meta of one series.

    Args:
      read: → HU, and the mask on the same grid or None.
      cfg: how slices are made.
      labels_tumors: whether the mask tells, by itself, if there is a tumor.

    Raises:
      InputError: the mask has voxels that nobody annotated.
    """
    image, label = read()
    if label is not None and (label.array == IGNORE).any():
        raise InputError(
            f"{np.count_nonzero(label.array == IGNORE)} voxels are labelled ignore, and FEE-DL "
            "learns from every pixel of a slice",
            hint="annotate them, or leave the case out",
        )
    image = canonical(image)
    mask = None if label is None else to_mask_slices(label, cfg)
    drawn = bool((mask == TUMOR).any()) if mask is not None and labels_tumors else None
    arrays, meta = _made(to_slices(image, cfg), mask, digest(image.array), drawn)
    return arrays, {**meta, "scans": [appearance_of(image)._asdict()]}


def make_from_pictures(
    read: Callable[[], Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]], cfg: PrepareConfig
) -> Made:
    """Arrays and meta of one patient of whom there are gray slices (h, w) and masks alone.

    The digest is of the gray values.
    """
    size = (cfg.size, cfg.size)
    pairs = read()
    image = np.stack([resize_gray(gray, size) for gray, _ in pairs])
    mask = np.stack([resize_mask(inside > 0, size).astype(np.uint8) for _, inside in pairs])
    return _made(image, mask, digest(image), None)


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


def _made(
    image: UInt8[np.ndarray, "d s s"],
    mask: UInt8[np.ndarray, "d s s"] | None,
    content: str,
    tumor_drawn: bool | None,
) -> Made:
    arrays = {"image": image} if mask is None else {"image": image, "mask": mask}
    return arrays, {
        "digest": content,
        "tumor_drawn": tumor_drawn,
        "pancreas_slices": _slices_with(mask, PANCREAS),
        "tumor_slices": _slices_with(mask, TUMOR),
    }


def _slices_with(mask: UInt8[np.ndarray, "d s s"] | None, id_: int) -> list[int]:
    """Numbers of the slices in which a mask has at least this id: a tumor lies in the pancreas."""
    if mask is None:
        return []
    return np.flatnonzero((mask >= id_).any(axis=(1, 2))).tolist()
