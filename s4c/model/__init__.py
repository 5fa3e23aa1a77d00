"""The segmentation networks: ResDSN, and those that it is compared with."""

from collections.abc import Mapping

import flax.linen as nn
from jaxtyping import Array, Float

from core.nn import functional
from core.types import Key, ModelState, Params, Variables
from s4c.config import ModelConfig
from s4c.model.outputs import Outputs
from s4c.model.resdsn import ResDSN
from s4c.model.unet3d import UNet3D
from s4c.model.vnet import VNet

__all__ = ["Outputs", "apply", "init"]

NETWORKS: Mapping[str, type[nn.Module]] = {"resdsn": ResDSN, "unet3d": UNet3D, "vnet": VNet}


def init(cfg: ModelConfig, key: Key, shape: tuple[int, ...]) -> Variables:
    """Variables of the network for patches of a shape, (n, d, h, w, 1); see `functional.init`."""
    return functional.init(NETWORKS[cfg.network](cfg), key, shape)


def apply(
    cfg: ModelConfig,
    params: Params,
    model_state: ModelState,
    image: Float[Array, "n *s c"],
    *,
    train: bool = False,
) -> tuple[Outputs, ModelState]:
    """Logits of a batch of patches, and the batch-norm statistics after it.

    Args:
      cfg: the network.
      params: as `init` gives them; auxiliary branches may be missing in evaluation.
      model_state: {"batch_stats": …}.
      image: (n, d, h, w, 1) normalized intensities; each spatial size divisible by
        `cfg.downsampling`.
      train: see `functional.apply`; also compute the auxiliary outputs.

    Returns:
      Outputs in float32, and the model state (unchanged in evaluation).

    Raises:
      ValueError: a spatial size is not divisible.
    """
    network = NETWORKS[cfg.network](cfg)
    return functional.apply(network, params, model_state, image, train=train)
