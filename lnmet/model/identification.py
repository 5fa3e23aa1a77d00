"""The network of stage 2: the U-Net of the segmentation, and a head that looks at one node."""

from collections.abc import Sequence
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from core import check
from core.nn.init import symmetric_uniform, uniform_fan_in
from core.nn.unet import UNet
from core.preprocess.fingerprint import Intensities
from core.types import Key, Params, Variables
from lnmet.identification.config import ModelConfig
from lnmet.model import plan_of, state_of

NUM_CLASSES = 2
"""Not metastatic, metastatic."""


def init(
    cfg: ModelConfig,
    key: Key,
    shape: tuple[int, ...],
    *,
    intensities: Sequence[Intensities],
    backbone: Params | None = None,
) -> Variables:
    """Draw parameters, or take those of the U-Net from a trained segmentation (Sec. III-A).

    Args:
      cfg: the network.
      key: used once.
      shape: of a batch of crops, (n, d, h, w, c); traced, not computed on.
      intensities: of the c channels.
      backbone: "unet" of a segmentation network's parameters, of the same features and strides;
        None draws them. The head is always drawn.

    Returns:
      {"params": {"unet": …, "head": …}, "intensities": …}, as `lnmet.model.init`.
    """
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    instance = jax.ShapeDtypeStruct(shape[:-1], jnp.bool_)
    params = Network(cfg).lazy_init(key, image, instance)["params"]
    if backbone is not None:
        # An encoder alone leaves the decoder behind.
        params = {**params, "unet": {name: backbone[name] for name in params["unet"]}}
        params = jax.tree.map(jnp.asarray, params)
    return {"params": params, **state_of(intensities, num_channels=shape[-1])}


def apply(
    cfg: ModelConfig,
    params: Params,
    image: Float[Array, "n d h w c"],
    instance: Bool[Array, "n d h w"],
) -> Float[Array, "n 2"]:
    """Logits of not metastatic and metastatic, in float32.

    Args:
      cfg: the network.
      params: as `init` gives them.
      image: of `lnmet.model.normalize`, crops around nodes; the strides divide each spatial size.
      instance: voxels of the node that is asked about. Without any, as where a small one was lost
        to an augmentation, its features are zero.
    """
    return cast(Array, Network(cfg).apply({"params": params}, image, instance))


class Network(nn.Module):
    """U-Net, means of its features, and a linear layer over them."""

    cfg: ModelConfig

    @nn.compact
    def __call__(
        self, image: Float[Array, "n d h w c"], instance: Bool[Array, "n d h w"]
    ) -> Float[Array, "n 2"]:
        """Logits."""
        check.rank("image", image, 5)
        cfg = self.cfg
        sees_instance = cfg.head == "instance"
        unet = UNet(plan_of(cfg), jnp.dtype(cfg.dtype), has_decoder=sees_instance, name="unet")
        maps = unet(image)
        features = maps.bottleneck.astype(jnp.float32).mean((1, 2, 3))
        if sees_instance:
            of_node = mean_inside(maps.decoder[0], instance)
            features = jnp.concatenate([features, of_node], axis=-1)
        head = nn.Dense(
            NUM_CLASSES,
            kernel_init=uniform_fan_in,
            bias_init=symmetric_uniform(features.shape[-1] ** -0.5),
            name="head",
        )
        return head(features)


def mean_inside(
    features: Float[Array, "n d h w c"], mask: Bool[Array, "n d h w"]
) -> Float[Array, "n c"]:
    """Mean of features over the voxels of a mask, in float32; 0 where it has none.

    >>> mean_inside(jnp.arange(4.0).reshape(1, 1, 1, 4, 1), jnp.array([[[[0, 1, 1, 0]]]], bool))
    Array([[1.5]], dtype=float32)
    """
    weights = mask.astype(jnp.float32)
    # No matrix product: that would multiply in fewer bits on an accelerator.
    total = (features.astype(jnp.float32) * weights[..., None]).sum((1, 2, 3))
    return total / jnp.maximum(weights.sum((1, 2, 3)), 1.0)[:, None]
