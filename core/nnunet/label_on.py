"""Label map of scores on a finer grid, class by class."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from core.preprocess.resample import Shape, interpolate, linear_weights


def label_on(
    scores: Float[np.ndarray, "d h w k"], shape: Shape, *, axis: int | None
) -> UInt8[np.ndarray, "e i j"]:
    """Class of the highest score at each voxel of another grid, interpolated linearly.

    Args:
      scores: logits or probabilities of at most 256 classes.
      shape: of the result.
      axis: across which the nearest slice is taken; None interpolates along all three.
    """
    matrices = weights(scores.shape[:3], shape, axis)
    label = np.zeros(shape, np.uint8)
    most = np.full(shape, -np.inf, np.float32)
    for k in range(scores.shape[-1]):
        score = interpolate(np.ascontiguousarray(scores[..., k]), matrices)
        is_more = score > most
        label[is_more], most[is_more] = k, score[is_more]
    return label


def weights(
    shape: Sequence[int], new_shape: Sequence[int], axis: int | None
) -> list[Float[np.ndarray, "_ _"]]:
    """Matrix (new, old) of each axis: linear, or the nearest along `axis`."""
    sizes = zip(shape, new_shape, strict=True)
    return [_nearest(*n) if a == axis else linear_weights(*n) for a, n in enumerate(sizes)]


def _nearest(num: int, new_num: int) -> Float[np.ndarray, "new old"]:
    """The old voxel in which the center of the new one lies."""
    at = np.floor((np.arange(new_num) + 0.5) * (num / new_num)).astype(int)
    return np.eye(num, dtype=np.float32)[at]
