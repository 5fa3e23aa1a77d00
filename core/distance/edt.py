"""Exact Euclidean distance transforms of masks with anisotropic voxels, on any platform.

A transform is a minimum over parabolas, one axis after the other (Felzenszwalb & Huttenlocher
2012): along each axis D²(v) = min over u of D²(u) + ((u − v)·s)². Both sides of a surface are
computed together: a voxel looks for the other class, so its own class counts with what is known so
far and the other with 0. The sign of a square tells the class.

On accelerators every minimum is one fused reduction. On CPU a slice is compared with a block of
slices at a time, and slices that hold nothing but one class are left out: whatever is nearest lies
in the box around the object, or right beside it. For ten organs in 80 × 192 × 160 voxels that takes
a quarter of scipy's time and no longer than the package `edt`, on two cores.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from core import check

BLOCK = 16
"""Slices that one pass over a slice compares with, on CPU: as many as stay in the nearest cache."""


def edt(
    mask: Bool[Array, "*s"], spacing_mm: Sequence[float], *, max_mm: float = float("inf")
) -> Float[Array, "*s"]:
    """Distance of every voxel of a mask to the nearest voxel outside it; 0 outside.

    Args:
      mask: any number of axes; static shape, may be traced or mapped over.
      spacing_mm: of the voxels by axis.
      max_mm: larger distances become this one; below it nothing changes, and less is computed.

    Returns:
      Distances between centers of voxels in mm; where there is no voxel outside, `max_mm`.

    Raises:
      ValueError: not one positive spacing per axis, or a `max_mm` that is not positive.
    """
    return jnp.maximum(-signed(mask, spacing_mm, max_mm=max_mm), 0.0)


def signed(
    mask: Bool[Array, "*s"], spacing_mm: Sequence[float], *, max_mm: float = float("inf")
) -> Float[Array, "*s"]:
    """Signed distance to a mask: edt(not mask) − edt(mask), positive outside and negative inside.

    Beside the result it needs five float32 copies of the mask: 1.6 GB for 300 × 512 × 512 voxels.

    Args:
      mask: any number of axes; static shape, may be traced or mapped over.
      spacing_mm: of the voxels by axis.
      max_mm: distances are clipped to ± this; below it nothing changes, and less is computed.

    Returns:
      Distances between centers of voxels in mm; `max_mm` everywhere without a mask, −`max_mm` where
      everything is mask.

    Raises:
      ValueError: not one positive spacing per axis, or a `max_mm` that is not positive.
    """
    if len(spacing_mm) != mask.ndim or not all(0 < s < float("inf") for s in spacing_mm):
        raise ValueError(f"spacing_mm must be {mask.ndim} positive numbers; got {spacing_mm}")
    check.positive("max_mm", max_mm)
    squares = jnp.where(mask, jnp.inf, -jnp.inf).astype(jnp.float32)
    for axis, step in enumerate(spacing_mm):
        lines = jnp.moveaxis(squares, axis, 0)
        passed = lax.platform_dependent(
            lines,
            jnp.moveaxis(mask, axis, 0),
            cpu=_scanned(step) if axis == 0 else _blockwise(step, max_mm),
            default=_at_once(step),
        )
        squares = jnp.moveaxis(passed, 0, axis)
    distances = jnp.minimum(jnp.sqrt(jnp.abs(squares)), max_mm)
    return jnp.where(mask, -distances, distances)


def signed_to_labels(
    label: Integer[Array, "*s"],
    ids: Sequence[int],
    spacing_mm: Sequence[float],
    *,
    max_mm: float = float("inf"),
) -> Float[Array, "k *s"]:
    """Signed distances to several labels, computed one after the other to bound the memory.

    Beside the result, k float32 copies of the labels, it needs six, however many labels there are.
    Where the maps end in one, fold over the labels instead, one `signed` at a time in `lax.scan`:
    the attention to ten organs in 300 × 512 × 512 voxels takes six copies, 1.8 GB, in all.

    Args:
      label: ids.
      ids: labels, k of them.
      spacing_mm: of the voxels by axis.
      max_mm: as for `signed`.

    Returns:
      One map per label, in the order of `ids`.
    """
    return lax.map(
        lambda id_: signed(label == id_, spacing_mm, max_mm=max_mm), jnp.asarray(ids, label.dtype)
    )


class _Range(NamedTuple):
    """Slices first … last, both included, in which something other than one class is found."""

    first: Integer[Array, ""]
    last: Integer[Array, ""]


def _scanned(step: float):
    """First axis: nothing is known yet, so steps to the other class are counted, both ways."""

    def count(lines: Bool[Array, "n *l"]) -> Float[Array, "n *l"]:
        def one(before: tuple[Array, Array], inside: Array) -> tuple[tuple[Array, Array], Array]:
            steps = jnp.where(inside == before[0], before[1] + 1, 1.0)
            return (inside, steps), steps

        start = lines[0], jnp.full(lines.shape[1:], jnp.inf, jnp.float32)
        return lax.scan(one, start, lines)[1]

    def run(_: Float[Array, "n *l"], mask: Bool[Array, "n *l"]) -> Float[Array, "n *l"]:
        steps = jnp.minimum(count(mask), count(mask[::-1])[::-1])
        squares = (steps * step) ** 2
        return jnp.where(mask, squares, -squares)

    return run


def _at_once(step: float):
    """All pairs of slices in one reduction, which XLA fuses: nothing of size n² is stored."""

    def run(squares: Float[Array, "n *l"], _: Bool[Array, "n *l"]) -> Float[Array, "n *l"]:
        index = jnp.arange(squares.shape[0], dtype=jnp.float32)
        apart = (
            index.reshape(-1, *(1,) * squares.ndim)
            - index.reshape(-1, *(1,) * (squares.ndim - 1))[None]
        )
        sign = _sign(squares)
        parabolas = _to_other_class(squares[:, None], sign[None]) + (apart * step) ** 2
        return sign * jnp.min(parabolas, axis=0)

    return run


def _blockwise(step: float, max_mm: float):
    """Slice by slice, each against the blocks of slices that can hold what is nearest."""

    def run(squares: Float[Array, "n *l"], mask: Bool[Array, "n *l"]) -> Float[Array, "n *l"]:
        num = squares.shape[0]
        reach = num if max_mm == float("inf") else int(max_mm / step) + 1
        padded = jnp.pad(squares, ((0, -num % BLOCK), *((0, 0),) * (squares.ndim - 1)))
        bounds = _mixed(mask)

        def compare(v: Array, out: Array) -> Array:
            sign = _sign(lax.dynamic_index_in_dim(squares, v, keepdims=False))

            def block(b: Array, nearest: Array) -> Array:
                others = lax.dynamic_slice_in_dim(padded, b * BLOCK, BLOCK)
                index = b * BLOCK + jnp.arange(BLOCK)
                parabola = jnp.where(index < num, ((index - v) * jnp.float32(step)) ** 2, jnp.inf)
                for i in range(BLOCK):
                    nearest = jnp.minimum(nearest, _to_other_class(others[i], sign) + parabola[i])
                return nearest

            first = jnp.maximum(bounds.first, v - reach) // BLOCK
            stop = jnp.minimum(bounds.last, v + reach) // BLOCK + 1
            nearest = lax.fori_loop(first, stop, block, jnp.full(sign.shape, jnp.inf, jnp.float32))
            return lax.dynamic_update_index_in_dim(out, sign * nearest, v, 0)

        # Beyond the reach of the object all is farther than max_mm, however far.
        start = jnp.maximum(bounds.first - reach, 0)
        stop = jnp.minimum(bounds.last + reach + 1, num)
        far = jnp.where(mask, jnp.inf, -jnp.inf).astype(jnp.float32)
        return lax.fori_loop(start, stop, compare, far)

    return run


def _mixed(mask: Bool[Array, "n *l"]) -> _Range:
    """Slices that hold the object and those beside them, for the object or for what is around it.

    Of what a voxel looks for, the nearest lies on the surface between the two: inside the box
    around either class, widened by the voxels that touch it.
    """
    lines = mask.reshape(mask.shape[0], -1)
    boxes = [_box(lines.any(axis=1)), _box(~lines.all(axis=1))]
    sizes = [box.last - box.first for box in boxes]
    return jax.tree.map(lambda a, b: jnp.where(sizes[0] <= sizes[1], a, b), *boxes)


def _box(holds: Bool[Array, "n"]) -> _Range:
    num = holds.shape[0]
    index = jnp.arange(num)
    first = jnp.min(jnp.where(holds, index, num)) - 1
    last = jnp.max(jnp.where(holds, index, -1)) + 1
    return _Range(jnp.clip(first, 0, num - 1), jnp.clip(last, 0, num - 1))


def _sign(squares: Float[Array, "*l"]) -> Float[Array, "*l"]:
    """1 in the mask and −1 outside; a bit, so that it is right for a square of 0 as well."""
    return jnp.where(jnp.signbit(squares), jnp.float32(-1), jnp.float32(1))


def _to_other_class(squares: Float[Array, "..."], sign: Float[Array, "..."]) -> Float[Array, "..."]:
    """Square of the distance to the class that a voxel of this sign looks for."""
    return jnp.maximum(squares * sign, 0.0)
