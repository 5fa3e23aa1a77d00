"""The network that tells the status: a ResNet-18 that sees the tumor's mask, and the nodes' volume.

The mask goes through a side branch, a convolution and a ReLU, whose output multiplies that of the
ResNet's first convolution. Its kernel starts at 0 and its bias at 1: at first it changes nothing.
Of the last features come their mean and their texture, to which a linear function of the largest
metastatic node's volume is added (Sec. III-B, Eq. 6 and 7).
"""

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, linear
from core.nn.norm import BatchNorm
from core.nn.relu import relu
from core.nn.resnet import ResNet, global_mean
from lnmet.model.texture import Texture
from lnmet.status.config import ModelConfig

NUM_CLASSES = 2
BLOCKS = (2, 2, 2, 2)
STEM_STRIDE = {"resnet2d": (2, 2), "resnet3d": (1, 2, 2)}
"""Of the first convolution; its length is the number of spatial axes."""
TRUNK = "trunk"
"""The ResNet, among the parameters."""


class Network(nn.Module):
    """ResNet-18, side branch, pooling, the nodes' volume and the last layers."""

    cfg: ModelConfig

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "n *s c"],
        mask: Float[Array, "n *s 1"],
        volume_mm3: Float[Array, " n"],
        *,
        train: bool,
    ) -> Float[Array, "n 2"]:
        """Logits."""
        cfg, stride, dtype = self.cfg, STEM_STRIDE[self.cfg.network], jnp.dtype(self.cfg.dtype)
        check.rank("image", image, len(stride) + 2)
        gate = SideBranch(cfg.width, stride, dtype, name="side")(mask)
        trunk = ResNet("basic", BLOCKS, cfg.width, stem_stride=stride, dtype=dtype, name=TRUNK)
        features = trunk(image, train=train, gate=gate)[-1]
        pooled = []
        if cfg.pooling != "texture":
            pooled.append(global_mean(features))
        if cfg.pooling != "mean":
            pooled.append(Texture(cfg.texture, dtype, name="texture")(features, train=train))
        x = jnp.concatenate(pooled, axis=-1)  # Eq. 6
        if cfg.nodes:
            volume = BatchNorm(name="volume_norm")(volume_mm3[:, None], train=train)
            x = x + linear(volume, x.shape[-1], name="volume_fc")  # Eq. 7
        if cfg.hidden:
            x = relu(linear(x, cfg.hidden, name="hidden"))
        return linear(x, NUM_CLASSES, name="fc")


class SideBranch(nn.Module):
    """The mask as a factor of every channel of the ResNet's first convolution; 1 at first."""

    features: int
    stride: tuple[int, ...]
    dtype: Dtype

    @nn.compact
    def __call__(self, mask: Float[Array, "n *s 1"]) -> Float[Array, "n *t o"]:
        """Convolve with the geometry of that convolution, then cut below zero."""
        conv = Conv(
            self.features,
            (7,) * len(self.stride),
            padding=3,
            stride=self.stride,
            kernel_init=nn.initializers.zeros,
            bias_init=nn.initializers.ones,
            dtype=self.dtype,
            name="conv",
        )
        return relu(conv(mask))
