"""Every n-th slice of an axis, right also where devices share that axis."""

import jax
from jax import lax


def every(
    x: jax.Array, step: int, *, axis: int, start: int = 0, stop: int | None = None
) -> jax.Array:
    """`x[start:stop:step]` along one axis.

    Of an axis that is cut over devices, XLA's partitioner gives another element, or stops, where a
    slice with a stride of three or more has a single element (jaxlib 0.10.2). Such a slice needs no
    stride.

    Args:
      x: any array.
      step: between the slices, at least 1.
      axis: that is cut.
      start: the first slice.
      stop: the one behind the last; without, the size of the axis.

    Returns:
      ⌈(stop - start) / step⌉ slices.
    """
    stop = x.shape[axis] if stop is None else stop
    if 0 < stop - start <= step:
        stop, step = start + 1, 1
    return lax.slice_in_dim(x, start, stop, step, axis=axis)
