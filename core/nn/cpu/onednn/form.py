"""Which convolutions oneDNN computes, and how they are called."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray

from core.nn import xla_conv
from core.nn.cpu.onednn import library, target
from core.nn.cpu.onednn.convolution import Call, prepared
from core.nn.xla_conv import GIVEN, Problem, Role

WINOGRAD = {
    ("conv3d_winograd", "out"): 32,
    ("conv3d_winograd", "image"): 32,
    ("conv3d_winograd", "kernel"): 128,
    ("conv2d_winograd", "out"): 128,
    ("conv2d_winograd", "image"): 128,
    ("conv2d_winograd", "kernel"): 128,
}
"""Channels on both sides from which on Winograd's F(4, 3) is faster than oneDNN, by what is
computed: of 32 on 64³ a value takes 213 against 274 ms, of 256 on 64² 35 against 54."""
WINOGRAD_SLICES, WINOGRAD_PIXELS = 4, 256
"""Along depth in three dimensions, of all images in two; below, that has too little to do."""
MIRRORING = 32
"""Voxels for each channel from which on it costs nothing to mirror the kernel for a gradient."""


def pays(problem: Problem, wanted: Role, a: ShapedArray, b: ShapedArray) -> bool:
    """Whether oneDNN has this one and is faster than our form; measured on two cores.

    Args:
      problem: what is convolved.
      wanted: what is computed.
      a: the first of what it is computed from.
      b: the second.
    """
    if library.load() is None or not a.dtype == b.dtype == jnp.float32:
        return False
    if min(map(min, problem.pads)) < 0 or 0 in (*a.shape, *b.shape):
        return False
    channels = _channels(wanted, a, b)
    if set(problem.strides) > {1} or min(channels) < WINOGRAD.get((problem.form, wanted), math.inf):
        return True
    voxels = (b if wanted == "image" else a).shape[0] * math.prod(problem.image_size)
    if wanted == "image" and voxels < MIRRORING * max(channels):
        return True
    if len(problem.strides) == 3:
        return problem.image_size[0] < WINOGRAD_SLICES
    return voxels < WINOGRAD_PIXELS


def _channels(wanted: Role, a: ShapedArray, b: ShapedArray) -> tuple[int, int]:
    """Of the image, or of a group of it, and of what the convolution makes of it."""
    if wanted == "kernel":
        return a.shape[-1], b.shape[-1]
    inputs, outputs = (b if wanted == "out" else a).shape[-2:]
    return inputs, outputs


def compute(problem: Problem, wanted: Role, a: jax.Array, b: jax.Array) -> jax.Array:
    """As `core.nn.xla_conv.compute`."""
    return xla_conv.compute(problem, wanted, a, b, strided=_strided)


def _strided(problem: Problem, wanted: Role, a: jax.Array, b: jax.Array) -> jax.Array:
    """Value or gradient of a strided convolution."""
    shapes = dict(zip(GIVEN[wanted], (a.shape, b.shape), strict=True))
    shapes[wanted] = jax.eval_shape(partial(xla_conv.strided, problem, wanted), a, b).shape
    call = Call(
        wanted,
        **shapes,
        strides=problem.strides,
        pads=problem.pads,
        groups=problem.groups,
    )
    return _call(call, a, b)


def _call(call: Call, a: jax.Array, b: jax.Array) -> jax.Array:
    target.register()
    text = call.to_text()
    results = (
        jax.ShapeDtypeStruct(call.result, np.float32),
        # XLA's, for it knows then what a program needs, and uses it again for others.
        jax.ShapeDtypeStruct((prepared(text).workspace_bytes,), np.uint8),
    )
    result, _ = jax.ffi.ffi_call(target.NAME, results)(a, b, call=text)
    return result
