"""Texture encoding layer: what descriptors differ by from learned codewords, place forgotten."""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jax import lax
from jaxtyping import Array, Float

from core.nn.blocks import Conv, ConvNormRelu
from core.nn.init import he_normal_fan_out, symmetric_uniform
from core.nn.norm import BatchNorm
from core.types import Key

SMALLEST_NORM = 1e-8


class Head(NamedTuple):
    """What stands between the last features and their texture.

    Args:
      descriptors: channels after a 1 × 1 convolution, a norm and a ReLU; None, a norm alone.
      codewords: of the encoding.
    """

    descriptors: int | None
    codewords: int


HEADS = {"example": Head(64, 8), "deepten": Head(128, 32), "dep": Head(None, 8)}
"""Of the authors' published example; Zhang et al. 2017; Xue et al. 2018."""


class Texture(nn.Module):
    """Descriptors of every place, their encoding, scaled to length 1.

    Args:
      kind: a head of `HEADS`.
    """

    kind: Literal["example", "deepten", "dep"]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n *s c"], *, train: bool) -> Float[Array, "n kd"]:
        """Codeword after codeword."""
        descriptors, codewords = HEADS[self.kind]
        if descriptors is None:
            x = BatchNorm(name="norm")(x, train=train)
        else:
            conv = Conv(
                descriptors,
                (1,) * (x.ndim - 2),
                padding=0,
                kernel_init=he_normal_fan_out,
                dtype=self.dtype,
                parent=None,
            )
            x = ConvNormRelu(conv, name="descriptors")(x, train=train)
        encoded = Encoding(codewords, name="encoding")(x)
        return unit_length(encoded.reshape(len(x), -1))


class Encoding(nn.Module):
    """Residuals of descriptors to codewords, summed with soft assignments.

    a_ik = softmax_k(s_k ‖x_i − c_k‖²),  e_k = Σ_i a_ik (x_i − c_k)

    The smoothing factors s_k start in [−1, 0], so that the nearer codeword has the larger share;
    nothing keeps them negative. Computed as ‖x‖² − 2 x·c + ‖c‖² and Σ_i a_ik x_i − (Σ_i a_ik) c_k,
    never as the n × i × k × d differences; in float32, for which accelerators must not round the
    products.

    Source: Zhang et al. 2017, Eq. 2 and 3.
    """

    codewords: int

    @nn.compact
    def __call__(self, x: Float[Array, "n *s d"]) -> Float[Array, "n k d"]:
        """Encode the descriptors of all places."""
        shape = self.codewords, x.shape[-1]
        bound = (shape[0] * shape[1]) ** -0.5
        codewords = self.param("codewords", symmetric_uniform(bound), shape)
        smoothing = self.param("smoothing", _uniform_below_zero, shape[:1])
        return encode(x.reshape(len(x), -1, shape[1]), codewords, smoothing)


def encode(
    x: Float[Array, "n i d"], codewords: Float[Array, "k d"], smoothing: Float[Array, " k"]
) -> Float[Array, "n k d"]:
    """Encoding of i descriptors; the equations are those of `Encoding`."""
    x = x.astype(jnp.float32)
    exact = lax.Precision.HIGHEST
    products = jnp.einsum("nid,kd->nik", x, codewords, precision=exact)
    squares = jnp.square(codewords).sum(-1).reshape(1, 1, -1)
    distances = jnp.square(x).sum(-1, keepdims=True) - 2 * products + squares
    shares = jax.nn.softmax(smoothing.reshape(1, 1, -1) * distances, axis=-1)
    sums = jnp.einsum("nik,nid->nkd", shares, x, precision=exact)
    return sums - shares.sum(1)[..., None] * codewords[None]


def unit_length(x: Float[Array, "n c"]) -> Float[Array, "n c"]:
    """Divide by max(‖x‖, 1e-8); the gradient at zero is finite, too."""
    squares = jnp.square(x).sum(-1, keepdims=True)
    return x * lax.rsqrt(jnp.maximum(squares, SMALLEST_NORM**2))


def _uniform_below_zero(key: Key, shape: tuple[int, ...]) -> jax.Array:
    return jax.random.uniform(key, shape, jnp.float32, -1.0, 0.0)
