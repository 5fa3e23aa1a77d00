"""V-Net, which ResDSN is compared with (PNET Table 1); Milletari et al. 2016.

The plan is that of the released network, of 1, 1, 2, 3, 3 convolutions on the way down and 3, 2, 1,
1 on the way up. Batch norms, which it lacks, make its training from scratch stable.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, ConvTranspose, PRelu
from core.nn.init import score_normal
from core.nn.norm import BatchNorm
from s4c.config import ModelConfig
from s4c.model.outputs import Outputs

CONVS_DOWN = (1, 1, 2, 3, 3)
"""Convolutions of each stage of the encoder, the highest resolution first."""
CONVS_UP = (1, 1, 2, 3)
"""Convolutions of each stage of the decoder, the highest resolution first."""
NUM_STRIDES = len(CONVS_UP)


class Unit(nn.Module):
    """A convolution, a batch norm and PReLU; what is added comes before the PReLU."""

    conv: Conv | ConvTranspose

    @nn.compact
    def __call__(
        self, x: Float[Array, "n *s i"], plus: Float[Array, "n *t o"] | None = None, *, train: bool
    ) -> Float[Array, "n *t o"]:
        """Convolve, normalize, add, activate."""
        y = BatchNorm(name="norm")(self.conv(x), train=train)
        if plus is not None:
            y = y + plus.astype(y.dtype)
        return PRelu(per_channel=True, name="prelu")(y)


class VNet(nn.Module):
    """The network, stage by stage: each learns what to add to its input."""

    cfg: ModelConfig

    @nn.compact
    def __call__(self, image: Float[Array, "n *s c"], *, train: bool) -> Outputs:
        """Compute logits."""
        check.rank("image", image, 5)
        check.divisible("image spatial shape", image.shape[1:-1], 2**NUM_STRIDES, "4 strides")
        cfg = self.cfg

        def conv(features: int, size: int, **kwargs) -> Conv:
            return Conv(features, (size,) * 3, dtype=cfg.dtype, parent=None, **kwargs)

        def stage(name: str, x: jax.Array, residual: jax.Array, num_convs: int) -> jax.Array:
            features = residual.shape[-1]
            for number in range(1, num_convs + 1):
                plus = residual if number == num_convs else None
                unit = Unit(conv(features, 5, padding=2), name=f"{name}_conv{number}")
                x = unit(x, plus, train=train)
            return x

        tiled = jnp.broadcast_to(image, (*image.shape[:-1], cfg.width))
        skips = [x := stage("down1", image, tiled, CONVS_DOWN[0])]
        for step, num_convs in enumerate(CONVS_DOWN[1:], start=2):
            down = conv(cfg.width * 2 ** (step - 1), 2, padding=0, stride=2)
            x = Unit(down, name=f"down{step}_stride")(x, train=train)
            skips.append(x := stage(f"down{step}", x, x, num_convs))
        for step in range(NUM_STRIDES, 0, -1):
            skip = skips[step - 1]
            up = ConvTranspose(skip.shape[-1], (2, 2, 2), dtype=cfg.dtype, parent=None)
            x = Unit(up, name=f"up{step}_stride")(x, train=train)
            x = jnp.concatenate([x, skip], axis=-1)
            x = stage(f"up{step}", x, x, CONVS_UP[step - 1])
        x = Unit(conv(cfg.num_classes, 5, padding=2), name="out")(x, train=train)
        score = Conv(cfg.num_classes, (1, 1, 1), padding=0, kernel_init=score_normal, name="score")
        return Outputs(score(x), ())
