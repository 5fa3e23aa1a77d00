"""How much larger than the final patch a patch is loaded, so that it can be turned."""

from collections.abc import Sequence
from math import cos, radians, sin

from core import check


def loading_shape(
    patch: tuple[int, int, int], degrees: float, scales: Sequence[float]
) -> tuple[int, int, int]:
    """Shape of the patch to load for a final one that is turned, then scaled.

    The largest size along each axis over the patch turned by `degrees` about one axis at a time,
    over the smallest scale:

    loaded_a = ⌊ max over axes of |p R_axis(θ)|_a / min(scales) ⌋

    Corners turned about more than one axis, or drawn with a scale above 1, reach further; what lies
    outside is the fill of `core.augment.volume_warp`.

    Args:
      patch: final shape, (d, h, w).
      degrees: largest angle about each axis, from 0 to 90.
      scales: range that the loaded patch is meant for.

    Returns:
      Shape to load, at least the final one where a scale is at most 1.

    Raises:
      ValueError: an angle outside [0, 90], or a scale that is not positive.

    >>> loading_shape((80, 192, 160), 30.0, (0.85, 1.25))
    (194, 289, 210)

    Source: nnU-Net 2, compute_initial_patch_size.get_patch_size.
    """
    if not 0 <= degrees <= 90:
        raise ValueError(f"degrees must lie in [0, 90]; got {degrees}")
    check.positive("the smallest scale", min(scales))
    c, s = cos(radians(degrees)), sin(radians(degrees))
    d, h, w = patch
    turned = [
        (d, h * c + w * s, w * c - h * s),
        (d * c - w * s, h, d * s + w * c),
        (d * c + h * s, h * c - d * s, w),
    ]
    largest = [max(patch[axis], *(abs(t[axis]) for t in turned)) for axis in range(3)]
    depth, height, width = (max(1, int(size / min(scales))) for size in largest)
    return depth, height, width
