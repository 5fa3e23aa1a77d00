"""3 × 3 × 3 convolution on CPU: Winograd's F(4, 3) along depth over two-dimensional convolutions.

Four output slices need twelve 2D convolutions when computed directly and six here (Lavin & Gray,
CVPR 2016, Sec. 4.1): with g the three kernel slices and x the six input slices they see,

  y = Aᵀ [(G g) * (Bᵀ x)],  * a 2D convolution for each of the six pairs.

A loop over depth keeps the transformed slices in the cache and the temporary memory small: writing
them out for a whole volume takes longer than the convolutions. Gradients run through the same loop:
the input's is the same convolution with the kernel mirrored, and the kernel's is
Gᵀ Σ [(Bᵀ x) ⊛ (A ∂y)], each ⊛ one matrix product.
"""

import operator
from collections.abc import Callable, Sequence
from functools import reduce
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from core.nn.cpu import conv2d, conv2d_stride2
from core.nn.strided import every
from core.nn.xla_conv import mirrored

TILE = 4
ROWS_PER_STEP = 8192
"""Voxels of a slice group: enough work for a matrix product, little enough for the cache."""

# Interpolation points 0, 1, -1, 2, -2, ∞: relative error 2e-6 in float32.
INPUT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
OUTPUT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]
)

Slices = list[jax.Array]
_Plane = Callable[[jax.Array, jax.Array], jax.Array]


def convolve(
    image: Float[Array, "n d h w i"], kernel: Float[Array, "3 3 3 i o"], *, stride: int = 1
) -> Float[Array, "n d p q o"]:
    """Cross-correlation with zero padding 1 and strides (1, stride, stride), 1 or 2."""
    rows, columns = (-(-s // stride) for s in image.shape[2:4])
    return _along_depth(_plane(stride).convolve, image, kernel, (rows, columns, kernel.shape[-1]))


def input_gradient(
    kernel: Float[Array, "3 3 3 i o"],
    grad: Float[Array, "n d p q o"],
    size: Sequence[int],
    *,
    stride: int = 1,
) -> Float[Array, "n d h w i"]:
    """Gradient of `convolve` with respect to its image of `size` voxels per axis."""
    if stride == 1:
        return convolve(grad, mirrored(kernel))

    def plane(slopes: jax.Array, taps: jax.Array) -> jax.Array:
        return conv2d_stride2.input_gradient(taps, slopes, size[1:])

    return _along_depth(plane, grad, jnp.flip(kernel, 0), (*size[1:], kernel.shape[3]))


def kernel_gradient(
    image: Float[Array, "n d h w i"], grad: Float[Array, "n d p q o"], *, stride: int = 1
) -> Float[Array, "3 3 3 i o"]:
    """Gradient of `convolve` with respect to its kernel, summed in float32."""
    image, grad = _whole_tiles(image), _whole_tiles(grad)
    per_step = _tiles_per_step(image.shape)

    def products(t: jax.Array) -> jax.Array:
        inputs = combine(INPUT, _tile_slices(_with_neighbors(image, t, per_step), INPUT.shape[1]))
        tiles = lax.dynamic_slice_in_dim(grad, t * TILE * per_step, TILE * per_step, axis=1)
        grads = combine(OUTPUT.T, _tile_slices(tiles, TILE))
        # Without the barrier the shifted copies are fused with the sums and computed thrice.
        stacks = lax.optimization_barrier((jnp.stack(inputs), jnp.stack(grads)))
        return _plane(stride).tap_products(*stacks)

    sums = jnp.zeros(jax.eval_shape(products, 0).shape, jnp.float32)
    num_steps = image.shape[1] // (TILE * per_step)
    sums = lax.fori_loop(0, num_steps, lambda t, sums: sums + products(t), sums)
    taps = _plane(stride).taps_of(sums, image.shape[-1], grad.shape[-1])
    return jnp.stack(combine(KERNEL.T, list(taps))).astype(image.dtype)


def _plane(stride: int) -> ModuleType:
    """The convolution in two dimensions."""
    return conv2d if stride == 1 else conv2d_stride2


def _along_depth(
    plane: _Plane, x: jax.Array, kernel: jax.Array, out_slice: tuple[int, ...]
) -> jax.Array:
    """Convolve along depth with `plane` for products; it makes slices of shape `out_slice`."""
    x, depth = _whole_tiles(x), x.shape[1]
    kernels = combine(KERNEL, list(kernel))
    per_step = _tiles_per_step(x.shape)

    def step(t: jax.Array, out: jax.Array) -> jax.Array:
        inputs = combine(INPUT, _tile_slices(_with_neighbors(x, t, per_step), INPUT.shape[1]))
        slices = combine(OUTPUT, [plane(v, k) for v, k in zip(inputs, kernels, strict=True)])
        return lax.dynamic_update_slice_in_dim(
            out, _join(slices, per_step), t * TILE * per_step, axis=1
        )

    out = jnp.zeros((*x.shape[:2], *out_slice), x.dtype)
    return lax.fori_loop(0, x.shape[1] // (TILE * per_step), step, out)[:, :depth]


def combine(matrix: np.ndarray, slices: Slices) -> Slices:
    """Rows of a matrix as sums over slices, without the terms that are zero."""
    rows = [[(m, s) for m, s in zip(row, slices, strict=True) if m] for row in matrix.tolist()]
    return [reduce(operator.add, [m * s for m, s in row]) for row in rows]


def _whole_tiles(x: jax.Array) -> jax.Array:
    """Zeros behind the last slice up to a multiple of the tile."""
    missing = -x.shape[1] % TILE
    return jnp.pad(x, ((0, 0), (0, missing), *[(0, 0)] * 3)) if missing else x


def _tiles_per_step(shape: tuple[int, ...]) -> int:
    """A divisor of the number of tiles that brings a step near `ROWS_PER_STEP` voxels."""
    n, depth, height, width, _ = shape
    wanted = max(1, ROWS_PER_STEP // (n * height * width))
    tiles = depth // TILE
    return max(p for p in range(1, tiles + 1) if tiles % p == 0 and p <= wanted)


def _with_neighbors(x: jax.Array, t: jax.Array, per_step: int) -> jax.Array:
    """The slices of step `t` with one more on each side; zeros outside the volume."""
    size, depth = TILE * per_step, x.shape[1]
    before = lax.dynamic_slice_in_dim(x, t * size - 1, 1, axis=1)
    after = lax.dynamic_slice_in_dim(x, jnp.minimum((t + 1) * size, depth - 1), 1, axis=1)
    inside = lax.dynamic_slice_in_dim(x, t * size, size, axis=1)
    first, last = t > 0, t < depth // size - 1
    return jnp.concatenate([jnp.where(first, before, 0), inside, jnp.where(last, after, 0)], axis=1)


def _tile_slices(x: jax.Array, count: int) -> Slices:
    """Slice j = 0 … count - 1 of every tile, tiles folded into the batch: (n · p, h, w, c)."""
    last = x.shape[1] - count + 1
    tiles = [every(x, TILE, axis=1, start=j, stop=j + last) for j in range(count)]
    return [slices.reshape(-1, *x.shape[2:]) for slices in tiles]


def _join(slices: Slices, per_step: int) -> jax.Array:
    """Inverse of `_tile_slices` for whole tiles: (n, 4 p, h, w, c)."""
    stacked = jnp.stack([s.reshape(-1, per_step, *s.shape[1:]) for s in slices], axis=2)
    return stacked.reshape(stacked.shape[0], per_step * TILE, *stacked.shape[3:])
