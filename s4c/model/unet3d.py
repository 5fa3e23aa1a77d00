"""3D U-Net, which ResDSN is compared with (PNET Table 1); Çiçek et al. 2016, Fig. 2.

Zero padding keeps the grid of a patch, where the original's convolutions shrink it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, ConvNormRelu, ConvTranspose
from core.nn.init import score_normal
from core.nn.pool import max_pool
from s4c.config import ModelConfig
from s4c.model.outputs import Outputs

NUM_POOLINGS = 3


class UNet3D(nn.Module):
    """The network, layer by layer: convolutions double the channels before each pooling."""

    cfg: ModelConfig

    @nn.compact
    def __call__(self, image: Float[Array, "n *s c"], *, train: bool) -> Outputs:
        """Compute logits."""
        check.rank("image", image, 5)
        check.divisible("image spatial shape", image.shape[1:-1], 2**NUM_POOLINGS, "3 poolings")
        cfg = self.cfg

        def convs(name: str, x: jax.Array, *features: int) -> jax.Array:
            for letter, num in zip("ab", features, strict=True):
                layer = Conv(num, (3, 3, 3), padding=1, dtype=cfg.dtype, parent=None)
                x = ConvNormRelu(layer, name=f"{name}{letter}")(x, train=train)
            return x

        skips, x = [], image
        for step in range(NUM_POOLINGS + 1):
            x = max_pool(x, window=2) if step else x
            features = cfg.width * 2**step
            x = convs(f"enc{step + 1}", x, features, 2 * features)
            skips.append(x)
        for step in range(NUM_POOLINGS, 0, -1):
            features = cfg.width * 2**step
            up = ConvTranspose(2 * features, (2, 2, 2), dtype=cfg.dtype, name=f"up{step}")
            x = jnp.concatenate([up(x), skips[step - 1]], axis=-1)
            x = convs(f"dec{step}", x, features, features)
        score = Conv(cfg.num_classes, (1, 1, 1), padding=0, kernel_init=score_normal, name="score")
        return Outputs(score(x), ())
