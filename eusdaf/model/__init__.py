"""The networks behind two pure functions, `init` and `apply`."""

from typing import Any, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from core import check
from core.nn import functional
from core.types import Key, ModelState, Params, Variables
from eusdaf.config import ModelConfig
from eusdaf.model.daf import STAGES, DAFNet
from eusdaf.model.unets import UNet


class Outputs(NamedTuple):
    """Logits at the size of the image: the answer, and every map that has a loss of its own."""

    logits: Float[Array, "n h w 1"]
    """Their sigmoid is the probability of a lesion; for DAF-Net the mean of the four SIs."""
    side_logits: tuple[Float[Array, "n h w 1"], ...]
    """Of DAF-Net the four SLFs, then the four SIs, stages 1 to 4; of a U-Net the one output."""


def init(cfg: ModelConfig, key: Key, shape: tuple[int, ...]) -> Variables:
    """Variables of the network for images of a shape, (n, h, w, c); see `functional.init`."""
    return functional.init(_network(cfg), key, shape)


def apply(
    cfg: ModelConfig,
    params: Params,
    model_state: ModelState,
    image: Float[Array, "n *hw c"],
    *,
    train: bool = False,
) -> tuple[Outputs, ModelState]:
    """Logits of a batch of images, and the batch-norm statistics after it.

    Args:
      cfg: the network.
      params: as `init` gives them.
      model_state: {"batch_stats": …}.
      image: normalized intensities; for the U-Nets each spatial size is divisible by 16.
      train: use batch statistics and move the running ones.

    Returns:
      Outputs in float32, and the model state (unchanged in evaluation).

    Raises:
      ValueError: not a batch of images, or sizes that four poolings do not divide.
    """
    check.rank("image", image, 4)
    maps, model_state = functional.apply(_network(cfg), params, model_state, image, train=train)
    answers = maps[-len(STAGES) :] if cfg.network == "daf" else maps
    total: Any = sum(answers[1:], start=answers[0])
    return Outputs(total / len(answers), maps), model_state


def _network(cfg: ModelConfig) -> nn.Module:
    return DAFNet(cfg) if cfg.network == "daf" else UNet(cfg)
