"""Convolution and transposed convolution, channel last, lowered per platform.

XLA's own 3D convolutions are right on GPU and TPU and many times too slow on CPU, so the shapes
that the papers' 3D networks are made of have a CPU form of their own (`_cpu_form` says which and
why); every other shape, and every other platform, uses `direct`. The forms agree to float32
rounding; `direct` and `direct_transpose` are the references to test against.
"""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from core import check
from core.nn import taps, transposed, winograd

_LAYOUT = {2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}
_PER_AXIS = int | Sequence[int]


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
    form = _cpu_form(kernel.shape, strides, pads, groups)
    if form == "product":
        return jnp.tensordot(image, kernel.reshape(kernel.shape[-2:]), 1)
    if form == "direct":
        return direct(image, kernel, strides, pads, groups)
    return _lowered(form, image, kernel)


def conv_transpose(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], *, stride: int = 2
) -> Float[Array, "n *t o"]:
    """Transposed convolution whose output has `stride` times as many voxels per axis.

    Args:
      image: two or three spatial axes.
      kernel: as a correlation over the image dilated by `stride`, that is, PyTorch's mirrored.
        Size 4 with stride 2 is PyTorch's padding 1, size equal to stride its padding 0.
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
        return _lowered("corners", image, kernel)
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
) -> Literal["product", "taps", "winograd", "direct"]:
    """Which form computes a convolution on CPU; measured on two cores against each other.

    - kernel 1, stride 1: a matrix product, on every platform; that is what it is.
    - kernel 3³, stride 1, padding 1: `winograd`, 10 to 30 times as fast as XLA's 3D convolution and
      twice as fast as a sum of three 2D convolutions, at 8 to 256 channels.
    - the same with one input channel: `taps`, 1.3 times as fast as `winograd`.
    """
    size, in_channels = kernel_shape[:-2], kernel_shape[-2]
    if groups > 1 or any(s != 1 for s in strides):
        return "direct"
    if set(size) == {1} and not any(pads):
        return "product"
    if size != (3, 3, 3) or any(p != 1 for p in pads):
        return "direct"
    return "taps" if in_channels == 1 else "winograd"


def _per_axis(image: jax.Array, kernel: jax.Array, value: _PER_AXIS) -> tuple[int, ...]:
    check.rank("image", image, (4, 5))
    check.rank("kernel", kernel, image.ndim)
    num_axes = image.ndim - 2
    return (value,) * num_axes if isinstance(value, int) else tuple(value)


_Form = Literal["winograd", "taps", "corners"]
_CPU = {"winograd": winograd, "taps": taps, "corners": transposed}
_REFERENCE = {
    "winograd": partial(direct, strides=(1, 1, 1), pads=(1, 1, 1)),
    "taps": partial(direct, strides=(1, 1, 1), pads=(1, 1, 1)),
    "corners": partial(direct_transpose, stride=2),
}


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _lowered(form: _Form, image: jax.Array, kernel: jax.Array) -> jax.Array:
    """The CPU form on CPU, XLA's own elsewhere; so are the gradients."""
    return lax.platform_dependent(image, kernel, cpu=_CPU[form].convolve, default=_REFERENCE[form])


def _forward(form: _Form, image: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple]:
    return _lowered(form, image, kernel), (image, kernel)


def _backward(form: _Form, saved: tuple[jax.Array, jax.Array], grad: jax.Array) -> tuple:
    def on_cpu(image: jax.Array, kernel: jax.Array, grad: jax.Array) -> tuple:
        module = _CPU[form]
        return module.input_gradient(kernel, grad), module.kernel_gradient(image, grad)

    def elsewhere(image: jax.Array, kernel: jax.Array, grad: jax.Array) -> tuple:
        return jax.vjp(_REFERENCE[form], image, kernel)[1](grad)

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
