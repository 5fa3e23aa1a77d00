"""Convolution and transposed convolution, channel last, lowered per platform.

XLA's own convolutions are right on GPU and TPU. On CPU those in three dimensions, those in groups,
and the gradients of those in two are many times too slow. There oneDNN computes most of them
(`core.nn.cpu.onednn`), and forms of our own those that these compute faster, and all where oneDNN
cannot be called: over several devices, in exported programs, without its wheel (`core.nn.cpu.forms`
says which and why). They agree to float32 rounding; `direct` and `direct_transpose` are the
references to test against. All can be differentiated forward, backward and twice.
"""

import math
from collections.abc import Sequence

import jax
from jax import lax
from jax.export import is_symbolic_dim
from jaxtyping import Array, Float

from core import check
from core.nn import bilinear, enlarge
from core.nn.cpu import forms
from core.nn.xla_conv import LAYOUT, Problem

PerAxis = int | Sequence[int]


def conv(
    image: Float[Array, "n *s i"],
    kernel: Float[Array, "*k j o"],
    *,
    stride: PerAxis = 1,
    padding: PerAxis,
    groups: int = 1,
) -> Float[Array, "n *t o"]:
    """Cross-correlation with zero padding, in two or three dimensions.

    Args:
      image: two or three spatial axes.
      kernel: as many spatial axes; j = i / groups input channels per group; output channels.
      stride: voxels between outputs, for all axes or per axis.
      padding: zeros on both sides, for all axes or per axis.
      groups: parts of the channels that do not see each other.

    Returns:
      ⌊(s + 2 padding - k) / stride⌋ + 1 voxels per axis.

    Raises:
      ValueError: ranks do not fit.
    """
    strides, pads = _per_axis(image, kernel, stride), _per_axis(image, kernel, padding)
    if image.ndim == 5 and kernel.shape[0] == 1 and pads[0] == 0 and max(kernel.shape[:3]) > 1:
        return _conv_slices(image, kernel[0], strides, pads[1:], groups)
    form = forms.choose(kernel.shape, strides, pads, groups)
    # What an exported program learns only when it runs cannot be blocked beforehand.
    if any(map(is_symbolic_dim, image.shape)):
        return direct(image, kernel, strides, pads, groups)
    both_sides = tuple((p, p) for p in pads)
    sizes = image.shape[1:-1], kernel.shape[:-2]
    return bilinear.convolve(Problem(form, strides, both_sides, groups, *sizes), image, kernel)


def conv_transpose(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], *, stride: PerAxis = 2
) -> Float[Array, "n *t o"]:
    """Transposed convolution whose output has `stride` times as many voxels per axis.

    Args:
      image: two or three spatial axes.
      kernel: as a correlation over the image dilated by `stride`, that is, PyTorch's mirrored.
        Size 4 with stride 2 is PyTorch's padding 1, size equal to stride its padding 0, size 3
        with stride 2 its padding 0 without the last output of each axis (Keras' "same").
      stride: the factor, for all axes or per axis.

    Returns:
      The enlarged image.

    Raises:
      ValueError: ranks do not fit.
    """
    strides, size = _per_axis(image, kernel, stride), kernel.shape[:-2]
    if any(map(is_symbolic_dim, image.shape)) and size == strides:
        return enlarge.convolve(image, kernel)
    pads = tuple(_pads_of_same(k, s) for k, s in zip(size, strides, strict=True))
    form = forms.choose_transposed(size, strides)
    problem = Problem(form, strides, pads, 1, image.shape[1:-1], size, transposed=True)
    return bilinear.convolve(problem, image, kernel)


def direct(
    image: Float[Array, "n *s i"],
    kernel: Float[Array, "*k j o"],
    strides: Sequence[int],
    pads: Sequence[int],
    groups: int = 1,
) -> Float[Array, "n *t o"]:
    """`conv` as XLA has it on every platform."""
    return lax.conv_general_dilated(
        image,
        kernel,
        strides,
        [(p, p) for p in pads],
        dimension_numbers=LAYOUT[image.ndim - 2],
        feature_group_count=groups,
    )


def direct_transpose(
    image: Float[Array, "n *s i"], kernel: Float[Array, "*k i o"], stride: PerAxis
) -> Float[Array, "n *t o"]:
    """`conv_transpose` over a dilated image, as its equation has it; slow on every platform."""
    strides = _per_axis(image, kernel, stride)
    return lax.conv_transpose(
        image, kernel, strides, "SAME", dimension_numbers=LAYOUT[image.ndim - 2]
    )


def _per_axis(image: jax.Array, kernel: jax.Array, value: PerAxis) -> tuple[int, ...]:
    check.rank("image", image, (4, 5))
    check.rank("kernel", kernel, image.ndim)
    num_axes = image.ndim - 2
    return (value,) * num_axes if isinstance(value, int) else tuple(value)


def _conv_slices(
    image: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    pads: Sequence[int],
    groups: int,
) -> jax.Array:
    """Kernel of one slice: the slices that the stride meets are images of one batch."""
    met = image[:, :: strides[0]]
    out = conv(
        met.reshape(-1, *met.shape[2:]), kernel, stride=strides[1:], padding=pads, groups=groups
    )
    return out.reshape(*met.shape[:2], *out.shape[1:])


def _pads_of_same(size: int, stride: int) -> tuple[int, int]:
    """Padding of the strided convolution whose transpose enlarges an axis by `stride`.

    Over the dilated image k + stride - 2 zeros are needed, the larger half of them in front; a zero
    there is one that the strided convolution lacks of its k - 1.
    """
    before = size - 1 if stride > size - 1 else math.ceil((size + stride - 2) / 2)
    return size - 1 - before, before + 1 - stride
