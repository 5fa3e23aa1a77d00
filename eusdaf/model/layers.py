"""Layers of DAF-Net's decoder and of the baselines; all convolutions have bias."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.typing import Dtype
from jaxtyping import Array, Float

from core.nn.blocks import Conv, PRelu
from core.nn.init import symmetric_uniform, uniform_fan_in
from core.nn.norm import BatchNorm

Init = Literal["default", "uniform01"]
Grid = Literal["half_pixel", "align_corners"]


def conv(x: jax.Array, features: int, size: int, *, init: Init = "default", **options) -> Conv:
    """A convolution for `x` that keeps its grid, with weights and biases drawn as `init` says."""
    if init == "uniform01":
        kernel_init = bias_init = nn.initializers.uniform(1.0)
    else:
        kernel_init = uniform_fan_in
        bias_init = symmetric_uniform((size * size * x.shape[-1]) ** -0.5)
    return Conv(
        features,
        (size, size),
        padding=size // 2,
        kernel_init=kernel_init,
        bias_init=bias_init,
        **options,
    )


class ConvNormPRelu(nn.Module):
    """A convolution that keeps the grid, batch norm, PReLU."""

    features: int
    size: int
    weights: Init = "default"
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n h w i"], *, train: bool) -> Float[Array, "n h w o"]:
        """Convolve, normalize, rectify."""
        x = conv(x, self.features, self.size, init=self.weights, dtype=self.dtype, name="conv")(x)
        return PRelu(name="prelu")(BatchNorm(name="norm")(x, train=train))


def resize(
    image: Float[Array, "n h w c"], size: tuple[int, ...], grid: Grid
) -> Float[Array, "n p q c"]:
    """Bilinear interpolation, a small matrix product per axis, without smoothing.

    Args:
      image: pixels.
      size: rows and columns wanted.
      grid: `half_pixel` lays the borders of the two images on each other, `align_corners` the
        centers of their corner pixels; PyTorch's `align_corners=False` and `True`.

    Returns:
      The image at `size`; at its own size unchanged.
    """
    if image.shape[1:3] == size:
        return image
    rows, columns = (
        jnp.asarray(interpolation(old, new, grid), image.dtype)
        for old, new in zip(image.shape[1:3], size, strict=True)
    )
    image = jnp.einsum("ph,nhwc->npwc", rows, image)
    return jnp.einsum("qw,npwc->npqc", columns, image)


def interpolation(old: int, new: int, grid: Grid) -> Float[np.ndarray, "new old"]:
    """What every old pixel adds to every new one; two entries a row at most, summing to one."""
    if grid == "half_pixel":
        place = (np.arange(new) + 0.5) * old / new - 0.5
    else:
        place = np.arange(new) * ((old - 1) / max(new - 1, 1))
    place = np.clip(place, 0, old - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(old)))
