"""DAF-Net: attention between features of single layers and their fusion (Sec. 2.4, Fig. 2 and 3).

SLF, MLF, AF and SI are the paper's single-layer, multi-layer and attentional features and single
images.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from core.nn.resnet import ResNet
from eusdaf.config import ModelConfig
from eusdaf.model.layers import ConvNormPRelu, conv, resize

STAGES = (1, 2, 3, 4)
REFINE_SIZES = {"conv3_conv3_conv1": (3, 3, 1), "conv1": (1,)}


class DAFNet(nn.Module):
    """The network, layer by layer; names follow the cited DAF network's."""

    cfg: ModelConfig

    @nn.compact
    def __call__(
        self, image: Float[Array, "n h w c"], *, train: bool
    ) -> tuple[Float[Array, "n h w 1"], ...]:
        """Eight logit maps: of the SLFs of stages 1 to 4, then the SIs of stages 1 to 4."""
        cfg = self.cfg

        def layer(name: str, x: jax.Array, size: int) -> jax.Array:
            block = ConvNormPRelu(cfg.features, size, cfg.decoder_init, cfg.dtype, name=name)
            return block(x, train=train)

        def sequence(name: str, x: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
            for number, size in enumerate(sizes, start=1):
                x = layer(f"{name}_{number}", x, size)
            return x

        def plain(name: str, x: jax.Array, features: int, dtype: Dtype = cfg.dtype) -> jax.Array:
            return conv(x, features, 1, init=cfg.decoder_init, dtype=dtype, name=name)(x)

        encoder = ResNet(
            "bottleneck",
            cfg.blocks,
            width=cfg.width,
            groups=cfg.groups,
            group_width=cfg.group_width,
            dtype=cfg.dtype,
            name="encoder",
        )
        stages = encoder(image, train=train)[1:]
        size = stages[0].shape[1:3]
        single = {
            stage: resize(layer(f"down{stage}", x, 1), size, cfg.upsampling)
            for stage, x in zip(STAGES, stages, strict=True)
        }
        x = jnp.concatenate([single[stage] for stage in reversed(STAGES)], axis=-1)
        multi = sequence("fuse1", x, (3, 3, 1))
        attended = {}
        for stage in STAGES:
            x = jnp.concatenate([single[stage], multi], axis=-1)  # F_x
            x = sequence(f"attention{stage}", x, (3, 3))
            last = plain(f"attention{stage}_3", x, cfg.features)  # W_x
            attention = jax.nn.softmax(last.astype(jnp.float32), axis=-1).astype(x.dtype)  # A_x
            x = jnp.concatenate([single[stage], attention * multi], axis=-1)
            attended[stage] = sequence(f"refine{stage}", x, REFINE_SIZES[cfg.refine])
        maps = [plain(f"predict{stage}", single[stage], 1, jnp.float32) for stage in STAGES]
        maps += [plain(f"predict{stage}_2", attended[stage], 1, jnp.float32) for stage in STAGES]
        enlarged = resize(jnp.concatenate(maps, axis=-1), image.shape[1:3], cfg.upsampling)
        return tuple(jnp.split(enlarged, len(maps), axis=-1))
