"""The forms of convolution on CPU that are written here: which computes what, and how to call it.

Where oneDNN can be called it computes those that it is faster at (`core.nn.cpu.onednn.form`).
"""

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax

from core.nn.cpu import (
    conv2d_grouped,
    conv2d_stride2,
    conv2d_transpose,
    conv2d_winograd,
    conv3d_along_depth,
    conv3d_large,
    conv3d_one_channel,
    conv3d_stride2,
    conv3d_transpose,
    conv3d_winograd,
    conv_pointwise,
)
from core.nn.xla_conv import Problem, Role

Name = Literal[
    "conv_pointwise",
    "conv2d_winograd",
    "conv2d_stride2",
    "conv2d_grouped",
    "conv2d_transpose",
    "conv3d_winograd",
    "conv3d_one_channel",
    "conv3d_along_depth",
    "conv3d_stride2",
    "conv3d_large",
    "conv3d_transpose",
    "enlarge",
    "direct",
]


def choose(
    kernel_shape: tuple[int, ...], strides: Sequence[int], pads: Sequence[int], groups: int
) -> Name:
    """Which form computes a convolution; measured on two cores against each other.

    - kernel 1, no groups: `conv_pointwise`; that is what it is.
    - kernel 3³, stride 1, padding 1: `conv3d_winograd`, 10 to 30 times as fast as XLA's 3D
      convolution and twice as fast as a sum of three 2D convolutions, at 8 to 256 channels.
    - the same with one input channel: `conv3d_one_channel`, 1.3 times as fast as that.
    - kernel 3³, padding 1, strides (1, 2, 2): `conv3d_winograd` too; strides 2: `conv3d_stride2`.
    - kernel 7³, padding 3, strides (1, 2, 2): `conv3d_large`, 4 to 12 times as fast as XLA's.
    - kernel 5³, padding 2, stride 1: the same, 2 to 40 times as fast.
    - kernel 3 × 1 × 1, stride 1: `conv3d_along_depth`. (`core.nn.conv` makes images of 1 × 3 × 3.)
    - kernel 3², padding 1, stride 1: `conv2d_winograd`, 1.3 to 1.9 times as fast as XLA's from 64
      channels on; below, `conv2d`, XLA's own with other gradients.
    - the same with stride 2: `conv2d_stride2`, XLA's own with other gradients.
    - the same in groups: `conv2d_grouped`, up to 4 times as fast as XLA's, its kernel's gradient
      over 60.
    """
    *size, in_channels, _ = kernel_shape
    sort = tuple(size), tuple(pads), tuple(strides)
    if set(size) == {1} and not any(pads) and groups == 1:
        return "conv_pointwise"
    if sort in (((3, 3), (1, 1), (1, 1)), ((3, 3), (1, 1), (2, 2))):
        if groups > 1:
            return "conv2d_grouped"
        return "conv2d_winograd" if strides[0] == 1 else "conv2d_stride2"
    if groups > 1:
        return "direct"
    if sort == ((3, 3, 3), (1, 1, 1), (1, 1, 1)) and in_channels == 1:
        return "conv3d_one_channel"
    return _VOLUMES.get(sort, "direct")


_VOLUMES: dict[tuple, Name] = {
    ((3, 3, 3), (1, 1, 1), (1, 1, 1)): "conv3d_winograd",
    ((3, 3, 3), (1, 1, 1), (1, 2, 2)): "conv3d_winograd",
    ((3, 3, 3), (1, 1, 1), (2, 2, 2)): "conv3d_stride2",
    ((3, 1, 1), (1, 0, 0), (1, 1, 1)): "conv3d_along_depth",
    ((7, 7, 7), (3, 3, 3), (1, 2, 2)): "conv3d_large",
    ((5, 5, 5), (2, 2, 2), (1, 1, 1)): "conv3d_large",
}
"""By kernel size, padding and strides."""


def choose_transposed(size: tuple[int, ...], strides: tuple[int, ...]) -> Name:
    """Which form computes a transposed convolution; "enlarge" does on every platform."""
    if size == strides:
        return "enlarge"
    if (size, strides) == ((4, 4, 4), (2, 2, 2)):
        return "conv3d_transpose"
    return "conv2d_transpose" if (size, strides) == ((3, 3), (2, 2)) else "direct"


def compute(problem: Problem, wanted: Role, a: jax.Array, b: jax.Array) -> jax.Array:
    """As `core.nn.xla_conv.compute`, by the form that the problem names."""
    form = _FORMS[problem.form]
    options = form.options(problem)
    if wanted == "out":
        return form.module.convolve(a, b, **options)
    if wanted == "kernel":
        return form.module.kernel_gradient(a, b, **options)
    # Two sizes of image have the same half.
    size = {"size": problem.image_size} if form.strided else {}
    return form.module.input_gradient(a, b, **size, **options)


class _Form(NamedTuple):
    module: ModuleType
    """With `convolve`, `input_gradient` and `kernel_gradient`."""
    options: Callable[[Problem], dict[str, Any]] = lambda problem: {}
    """What these want to know besides the arrays."""
    strided: bool = False
    """Whether `input_gradient` has to be told the size of the image."""


_FORMS = {
    "conv_pointwise": _Form(conv_pointwise, lambda p: {"strides": p.strides}, strided=True),
    "conv2d_winograd": _Form(conv2d_winograd),
    "conv2d_stride2": _Form(conv2d_stride2, strided=True),
    "conv2d_grouped": _Form(
        conv2d_grouped, lambda p: {"stride": p.strides[0], "groups": p.groups}, strided=True
    ),
    "conv2d_transpose": _Form(conv2d_transpose),
    "conv3d_winograd": _Form(conv3d_winograd, lambda p: {"stride": p.strides[2]}, strided=True),
    "conv3d_one_channel": _Form(conv3d_one_channel),
    "conv3d_along_depth": _Form(conv3d_along_depth),
    "conv3d_stride2": _Form(conv3d_stride2, strided=True),
    "conv3d_large": _Form(
        conv3d_large,
        lambda p: {"side": p.kernel_size[0], "stride": p.strides[2]},
        strided=True,
    ),
    "conv3d_transpose": _Form(conv3d_transpose),
}
