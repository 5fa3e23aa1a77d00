"""ReLU whose value is stored, not computed again for everyone who needs it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@jax.custom_jvp
def relu(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """max(x, 0), and nan where x is; its derivative at 0 is 0, as PyTorch's.

    XLA's CPU compiler takes a maximum with a constant for free, and computes it again in every
    program that reads it, with the sum below it: along the shortcuts of a residual network every
    block adds up all blocks before it. A selection reads two arrays, and that it stores. DAF-Net's
    forward pass takes 412 ms so, and 500 with `jax.nn.relu`, a training step 1.39 and 1.51 s.
    """
    return jnp.where(x < 0, jnp.zeros((), x.dtype), x)


@relu.defjvp
def _jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """By the value alone, so that x need not be kept for the backward pass."""
    (x,), (tangent,) = primals, tangents
    value = relu(x)
    return value, jnp.where(value > 0, tangent, jnp.zeros((), tangent.dtype))
