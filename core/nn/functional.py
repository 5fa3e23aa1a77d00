"""A network with batch norm behind two pure functions: `init` draws variables, `apply` computes.

A paper's `model.init` and `model.apply` are these, of the network that its config describes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core.types import Key, ModelState, Params, Variables


def init(network: nn.Module, key: Key | dict[str, Key], shape: tuple[int, ...]) -> Variables:
    """Draw parameters and fresh batch-norm statistics.

    Args:
      network: called with images and `train`.
      key: used once; several by the names of their streams for networks that drop features.
      shape: of a batch of images, channels last; traced, not computed on.

    Returns:
      {"params": …, "batch_stats": …}.
    """
    return network.lazy_init(key, jax.ShapeDtypeStruct(shape, jnp.float32), train=True)


def apply(
    network: nn.Module,
    params: Params,
    model_state: ModelState,
    image: Float[Array, "n *s c"],
    *,
    train: bool = False,
    rngs: dict[str, Key] | None = None,
) -> tuple[Any, ModelState]:
    """Outputs of a batch of images, and the batch-norm statistics after it.

    Args:
      network: called with images and `train`.
      params: as `init` gives them; what evaluation does not need may be missing in it.
      model_state: {"batch_stats": …}.
      image: channels last.
      train: use batch statistics, and move the running ones.
      rngs: keys of a network that drops features in training, by their streams.

    Returns:
      What the network returns, and the model state (unchanged in evaluation).
    """
    variables = {"params": params, **model_state}
    if not train:
        return network.apply(variables, image, train=False), model_state
    return network.apply(variables, image, train=True, rngs=rngs, mutable=list(model_state))
