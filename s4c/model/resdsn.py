"""ResDSN: a 3D encoder–decoder with sum skips, and auxiliary outputs in training (Fig. 2)."""

from collections.abc import Mapping
from typing import Any, cast

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, ConvNormRelu, ConvTranspose
from core.nn.init import score_normal
from core.nn.pool import max_pool
from core.types import ModelState, Params
from s4c.config import ModelConfig
from s4c.model.outputs import Outputs

NUM_POOLINGS = 3


def pool3(
    cfg: ModelConfig, params: Params, model_state: ModelState, image: Float[Array, "n *s c"]
) -> Float[Array, "n *t k"]:
    """Features after the third pooling, in evaluation; sides are an eighth (PNET Sec. 2.3).

    Under jit the layers behind them are not computed.

    Args:
      cfg: of a ResDSN.
      params: its parameters.
      model_state: {"batch_stats": …}.
      image: as of `s4c.model.apply`.
    """
    variables = {"params": params, **model_state}
    _, sown = ResDSN(cfg).apply(variables, image, train=False, mutable=["intermediates"])
    return cast(Mapping[str, Any], sown)["intermediates"]["pool3"][0]


class ResDSN(nn.Module):
    """The network, layer by layer; names follow the cited base network's."""

    cfg: ModelConfig

    @nn.compact
    def __call__(self, image: Float[Array, "n *s c"], *, train: bool) -> Outputs:
        """Compute logits; the auxiliary branches run in training only."""
        check.rank("image", image, 5)
        check.divisible("image spatial shape", image.shape[1:-1], 2**NUM_POOLINGS, "3 poolings")
        cfg, width = self.cfg, self.cfg.width

        def conv(name: str, x: jax.Array, features: int) -> jax.Array:
            layer = Conv(
                features, (3, 3, 3), padding=1, use_bias=cfg.conv_bias, dtype=cfg.dtype, parent=None
            )
            return ConvNormRelu(layer, name=name)(x, train=train)

        def deconv(name: str, x: jax.Array, features: int) -> jax.Array:
            layer = ConvTranspose(
                features, (4, 4, 4), use_bias=cfg.conv_bias, dtype=cfg.dtype, parent=None
            )
            return ConvNormRelu(layer, name=name)(x, train=train)

        def score(name: str, x: jax.Array) -> jax.Array:
            layer = Conv(cfg.num_classes, (1, 1, 1), padding=0, kernel_init=score_normal, name=name)
            return layer(x)

        skips, x = [], image
        for step in range(1, NUM_POOLINGS + 1):
            x = conv(f"conv{step}a", x, width * 2 ** (step - 1))
            if step > 1 or cfg.convs_step1 == 2:
                x = conv(f"conv{step}b", x, width * 2 ** (step - 1))
            skips.append(x)
            x = max_pool(x, window=2)
        self.sow("intermediates", "pool3", x)
        x = conv("conv4a", x, width * 8)
        x = conv("conv4b", x, width * 8)
        decoded = {}
        for step in range(NUM_POOLINGS, 0, -1):
            features = width * 2 ** (step - 1)
            x = deconv(f"deconv{step}", x, features) + skips[step - 1]
            x = conv(f"res_conv{step}a", x, features)
            decoded[step] = x = conv(f"res_conv{step}b", x, features)
        main = score("score", x)
        if not train:
            return Outputs(main, ())
        branches = {2: skips[1], 3: skips[2]} if cfg.aux_at == "encoder" else decoded
        aux = []
        for number in range(1, cfg.num_aux + 1):
            x = branches[number + 1]
            for step in range(number, 0, -1):
                x = deconv(f"aux{number}_deconv{step}", x, width * 2 ** (step - 1))
            aux.append(score(f"aux{number}_score", x))
        return Outputs(main, tuple(aux))
