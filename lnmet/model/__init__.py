"""The networks behind pure functions: nnU-Net's U-Net with heads that see through attention."""

from collections.abc import Sequence
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from core import check
from core.nn.unet import Heads, UNet, UNetPlan, average_pool
from core.preprocess.fingerprint import Intensities
from core.types import Key, ModelState, Params, Variables
from lnmet.config import ModelConfig
from lnmet.identification import config as of_identification

INTENSITIES = "intensities"
"""Collection of the model state: how the training set's foreground is normalized, by channel."""


def plan_of(cfg: ModelConfig | of_identification.ModelConfig) -> UNetPlan:
    """The U-Net of a config."""
    num = len(cfg.features)
    return UNetPlan(
        features=cfg.features,
        strides=cfg.strides,
        kernels=((3, 3, 3),) * num,
        encoder_units=(2,) * num,
        decoder_units=(2,) * (num - 1),
    )


def init(
    cfg: ModelConfig,
    key: Key,
    shape: tuple[int, ...],
    *,
    num_classes: int,
    intensities: Sequence[Intensities],
) -> Variables:
    """Draw parameters; the model state is what the training set says about intensities.

    Args:
      cfg: the network.
      key: used once.
      shape: of a batch of images, (n, d, h, w, c); traced, not computed on.
      num_classes: of the target.
      intensities: of the c channels.

    Returns:
      {"params": …, "intensities": {"low": (c,), "high": …, "mean": …, "std": …}}.
    """
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    gate = jax.ShapeDtypeStruct((*shape[:-1], 1), jnp.float32) if cfg.attention else None
    variables = Network(cfg, num_classes).lazy_init(key, image, gate)
    return {"params": variables["params"], **state_of(intensities, num_channels=shape[-1])}


def state_of(intensities: Sequence[Intensities], *, num_channels: int) -> ModelState:
    """What `normalize` needs: {"intensities": {"low": (c,), "high": …, "mean": …, "std": …}}.

    Raises:
      ValueError: another number of channels.
    """
    if len(intensities) != num_channels:
        raise ValueError(f"expected intensities of {num_channels} channels; got {len(intensities)}")
    by_name = zip(Intensities._fields, zip(*intensities, strict=True), strict=True)
    return {INTENSITIES: {name: jnp.asarray(values, jnp.float32) for name, values in by_name}}


def normalize(model_state: ModelState, hu: Num[Array, "*s c"]) -> Float[Array, "*s c"]:
    """HU clipped to the foreground's percentiles, minus its mean, over its standard deviation.

    The same numbers as `core.preprocess.fingerprint.normalize_ct` gives for each channel.
    """
    of = {k: v.reshape((1,) * (hu.ndim - 1) + (-1,)) for k, v in model_state[INTENSITIES].items()}
    clipped = jnp.clip(hu.astype(jnp.float32), of["low"], of["high"])
    return (clipped - of["mean"]) / jnp.maximum(of["std"], 1e-8)


def apply(
    cfg: ModelConfig,
    params: Params,
    image: Float[Array, "n *s c"],
    attention: Float[Array, "n *s"] | None = None,
    *,
    num_classes: int,
    deep: bool = False,
) -> tuple[Float[Array, "n _ _ _ k"], ...]:
    """Logits of a batch of normalized patches.

    Args:
      cfg: the network.
      params: as `init` gives them.
      image: (n, d, h, w, c) of `normalize`; the strides divide each spatial size.
      attention: (n, d, h, w) in [0, 1]; for networks with attention.
      num_classes: of the target.
      deep: all resolutions of the decoder, for deep supervision, the highest first; else that one.

    Returns:
      Logits in float32.

    Raises:
      ValueError: attention is missing, or given to a network that has no use for it.
    """
    if (attention is not None) is not cfg.attention:
        raise ValueError(
            f"model.attention is {cfg.attention}; got attention {attention is not None}"
        )
    gate = None if attention is None else attention[..., None]
    outputs = Network(cfg, num_classes).apply({"params": params}, image, gate, deep=deep)
    return cast(tuple[jax.Array, ...], outputs)


class Network(nn.Module):
    """U-Net, gates and heads; at initialization all heads exist."""

    cfg: ModelConfig
    num_classes: int

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "n *s c"],
        gate: Float[Array, "n *s 1"] | None,
        *,
        deep: bool = True,
    ) -> tuple[Float[Array, "n _ _ _ k"], ...]:
        """Logits of each resolution, or of the highest."""
        check.rank("image", image, 5)
        cfg, plan = self.cfg, plan_of(self.cfg)
        maps = UNet(plan, jnp.dtype(cfg.dtype), name="unet")(image).decoder
        if not deep:
            maps = maps[:1]
        gates = None
        if gate is not None:
            # The share of attention that lies in a voxel of each resolution.
            gates = [average_pool(gate, plan.downsampling_of(s)) for s in range(len(maps))]
        heads = Heads(self.num_classes, kind=cfg.head, use_bias=cfg.attention, name="heads")
        return heads(maps, gates)
