"""Convolution and transposed convolution, channel last, lowered per platform.

XLA's own convolutions are right on GPU and TPU. On CPU those in three dimensions, those in groups,
and the gradients of those in two are many times too slow, so the shapes that the papers' networks
are made of have a CPU form of their own (`_cpu_form` says which and why); every other shape, and
every other platform, uses `direct`. The forms agree to float32 rounding; `direct` and
`direct_transpose` are the references to test against.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core import check
from core.nn import doubling, grouped, halving, product, rows, taps, transposed, winograd

_LAYOUT = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}
_PER_AXIS = int | Sequence[int]
_Name = Literal[
    "product", "taps", "winograd", "rows", "halving", "grouped", "corners", "doubling", "direct"
]


def conv(
    image: Float[Array, "n *s i"],
    kernel: Float[Array, "*k i/g o"],
    *,
    stride: _PER_AXIS = 1,
    padding: _PER_AXIS,
    groups: int = 1,
) -> Float[Array, "n *t o"]:
    """Cross-correlation with zero padding, in two or three dimensions.

    Args:
      image: two or three spatial axes.
      kernel: as many spatial axes; input channels per group; output channels.
      stride: voxels between outputs, for all axes or per axis.
      padding: zeros on both sides, for all axes or per axis.
      groups: parts of the channels that do not see each other.

    Returns:
      ⌊(s + 2 padding - k) / stride⌋ + 1 voxels per axis.

    Raises:
      ValueError: ranks do not fit.
    """
    strides, pads = _per_axis(image, kernel, stride), _per_axis(image, kernel, padding)
    name = _cpu_form(kernel.shape, strides, pads, groups)
    if name == "direct":
        return direct(image, kernel, strides, pads, groups)
    return _lowered(_Form(name, strides, pads, groups), image, kernel)


def conv_transpose(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], *, stride: int = 2
) -> Float[Array, "n *t o"]:
    """Transposed convolution whose output has `stride` times as many voxels per axis.

    Args:
      image: two or three spatial axes.
      kernel: as a correlation over the image dilated by `stride`, that is, PyTorch's mirrored.
        Size 4 with stride 2 is PyTorch's padding 1, size equal to stride its padding 0, size 3
        with stride 2 its padding 0 without the last output of each axis (Keras' "same").
      stride: the factor.

    Returns:
      The enlarged image.

    Raises:
      ValueError: ranks do not fit.
    """
    _per_axis(image, kernel, stride)
    size = kernel.shape[:-2]
    if size == (stride,) * len(size):
        return _enlarge_blocks(image, kernel)
    if size == (4, 4, 4) and stride == 2:
        return _lowered(_Form("corners", (2, 2, 2)), image, kernel)
    if size == (3, 3) and stride == 2:
        return _lowered(_Form("doubling", (2, 2)), image, kernel)
    return direct_transpose(image, kernel, stride)


def direct(
    image: Float[Array, "n *s i"],
    kernel: Float[Array, "*k i/g o"],
    strides: Sequence[int],
    pads: Sequence[int],
    groups: int = 1,
) -> Float[Array, "n *t o"]:
    """`conv` as XLA lowers it."""
    return lax.conv_general_dilated(
        image,
        kernel,
        strides,
        [(p, p) for p in pads],
        dimension_numbers=_LAYOUT[image.ndim - 2],
        feature_group_count=groups,
    )


def direct_transpose(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], stride: int
) -> Float[Array, "n *t o"]:
    """`conv_transpose` as XLA lowers it."""
    num_axes = image.ndim - 2
    return lax.conv_transpose(
        image, kernel, (stride,) * num_axes, "SAME", dimension_numbers=_LAYOUT[num_axes]
    )


def _cpu_form(
    kernel_shape: tuple[int, ...], strides: Sequence[int], pads: Sequence[int], groups: int
) -> _Name:
    """Which form computes a convolution on CPU; measured on two cores against each other.

    - kernel 1, no groups: `product`; that is what it is.
    - kernel 3³, stride 1, padding 1: `winograd`, 10 to 30 times as fast as XLA's 3D convolution and
      twice as fast as a sum of three 2D convolutions, at 8 to 256 channels.
    - the same with one input channel: `taps`, 1.3 times as fast as `winograd`.
    - kernel 3², padding 1, stride 1: `rows`, 1.3 to 1.9 times as fast as XLA's from 64 channels on;
      below, `plane`, XLA's own with other gradients.
    - the same with stride 2: `halving`, XLA's own with other gradients.
    - the same in groups: `grouped`, up to 4 times as fast as XLA's, its kernel's gradient over 60.
    """
    size, in_channels = kernel_shape[:-2], kernel_shape[-2]
    if set(size) == {1} and not any(pads) and groups == 1:
        return "product"
    even = set(strides) == {1} or set(strides) == {2}
    if size == (3, 3) and set(pads) == {1} and even:
        return "grouped" if groups > 1 else "rows" if strides[0] == 1 else "halving"
    if size != (3, 3, 3) or set(pads) != {1} or set(strides) != {1} or groups > 1:
        return "direct"
    return "taps" if in_channels == 1 else "winograd"


def _per_axis(image: jax.Array, kernel: jax.Array, value: _PER_AXIS) -> tuple[int, ...]:
    check.rank("image", image, (4, 5))
    check.rank("kernel", kernel, image.ndim)
    num_axes = image.ndim - 2
    return (value,) * num_axes if isinstance(value, int) else tuple(value)


class _Form(NamedTuple):
    """A CPU form, and what XLA's own needs to know to do the same."""

    name: _Name
    strides: tuple[int, ...]
    pads: tuple[int, ...] = ()
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        """What the form's functions want to know besides the arrays."""
        if self.name == "product":
            return {"strides": self.strides}
        if self.name == "grouped":
            return {"stride": self.strides[0], "groups": self.groups}
        return {}

    def reference(self, image: jax.Array, kernel: jax.Array) -> jax.Array:
        """The same as XLA lowers it."""
        if self.name in ("corners", "doubling"):
            return direct_transpose(image, kernel, self.strides[0])
        return direct(image, kernel, self.strides, self.pads, self.groups)


_CPU = {
    "product": product,
    "winograd": winograd,
    "taps": taps,
    "rows": rows,
    "halving": halving,
    "grouped": grouped,
    "corners": transposed,
    "doubling": doubling,
}


# Both ways are compiled into their caller, and traced once for a shape instead of once for a layer.
@partial(jax.custom_vjp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=0)
def _lowered(form: _Form, image: jax.Array, kernel: jax.Array) -> jax.Array:
    """The CPU form on CPU, XLA's own elsewhere; so are the gradients."""
    on_cpu = partial(_CPU[form.name].convolve, **form.options)
    return lax.platform_dependent(image, kernel, cpu=on_cpu, default=form.reference)


def _forward(form: _Form, image: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return _lowered(form, image, kernel), (image, kernel)


@partial(jax.jit, static_argnums=0)
def _backward(form: _Form, saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple:
    def on_cpu(image: jax.Array, kernel: jax.Array, grad: jax.Array) -> tuple:
        module = _CPU[form.name]
        # Two sizes of image have the same half.
        strided = form.name in ("product", "halving", "grouped")
        shape = {"shape": image.shape[1:-1]} if strided else {}
        return (
            module.input_gradient(kernel, grad, **shape, **form.options),
            module.kernel_gradient(image, grad, **form.options),
        )

    def elsewhere(image: jax.Array, kernel: jax.Array, grad: jax.Array) -> tuple:
        return jax.vjp(form.reference, image, kernel)[1](grad)

    return lax.platform_dependent(*saved, grad, cpu=on_cpu, default=elsewhere)


_lowered.defvjp(_forward, _backward)


def _enlarge_blocks(image: jax.Array, kernel: jax.Array) -> jax.Array:
    """Kernel equal to stride: every voxel becomes a block of its own, one matrix product.

    The kernel is mirrored in a correlation, so block position p holds tap k - 1 - p.
    """
    num_axes, stride, out_channels = image.ndim - 2, kernel.shape[0], kernel.shape[-1]
    blocks = jnp.flip(kernel, range(num_axes))
    out = jnp.tensordot(image, blocks, ((image.ndim - 1,), (num_axes,)))
    order = [0] + [a for i in range(num_axes) for a in (1 + i, 1 + num_axes + i)]
    out = out.transpose(*order, out.ndim - 1)
    return out.reshape(image.shape[0], *(s * stride for s in image.shape[1:-1]), out_channels)
