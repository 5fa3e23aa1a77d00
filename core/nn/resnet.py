"""ResNet and ResNeXt in two and three dimensions, layer by layer as torchvision has them."""

from collections.abc import Callable
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, linear
from core.nn.conv import PerAxis
from core.nn.dropout import Dropout
from core.nn.init import he_normal_fan_out
from core.nn.norm import BatchNorm
from core.nn.pool import max_pool
from core.nn.relu import relu

BlockKind = Literal["basic", "bottleneck"]
EXPANSION = {"basic": 1, "bottleneck": 4}
"""Output channels of a block over the base width of its stage."""


class ResNet(nn.Module):
    """Stem and stages of residual blocks; stage k has base width `width` · 2^(k - 1).

    ResNet-18 and -34 are `basic` with (2, 2, 2, 2) and (3, 4, 6, 3) blocks; ResNeXt-101 is
    `bottleneck` with (3, 4, 23, 3), and 32x4d means 32 groups of 4 channels in the first stage.
    Of a volume every 3 × 3 is a 3 × 3 × 3 and so on: 3D ResNet-18 is `basic` with (2, 2, 2, 2)
    blocks and stem_stride (1, 2, 2).

    Args:
      block: two 3 × 3 convolutions, or a grouped 3 × 3 between two 1 × 1.
      blocks: per stage; every stage but the first halves the grid.
      width: channels of the stem.
      groups: of the 3 × 3 convolution of a bottleneck.
      group_width: channels of a group in the first stage, doubled at each.
      stem_stride: of the first convolution, for all axes or per axis.
      norm: makes every norm; `partial(BatchNorm, eps=…, momentum=…)` where PyTorch's do not fit.

    Source: He et al. 2016, Table 1; Xie et al. 2017, Table 1 and Fig. 3c; Hara et al. 2018,
    Table 1, with shortcuts of type B.
    """

    block: BlockKind
    blocks: tuple[int, ...]
    width: int = 64
    groups: int = 1
    group_width: int = 64
    stem_stride: PerAxis = 2
    norm: Callable[..., BatchNorm] = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "n *s c"],
        *,
        train: bool,
        gate: Float[Array, "n *t k"] | None = None,
    ) -> tuple[Float[Array, "n ..."], ...]:
        """Outputs of the stem at 1/2 of the image and of the stages at 1/4, 1/8, 1/16 and so on.

        Args:
          image: two or three spatial axes.
          train: use batch statistics and move the running ones.
          gate: factor of the first convolution's output, of its shape, before the norm.
        """
        check.rank("image", image, (4, 5))
        stride, dtype = self.stem_stride, self.dtype
        stem = ConvNorm(self.width, 7, stride, norm=self.norm, dtype=dtype, name="stem")
        outputs = [relu(stem(image, train=train, gate=gate))]
        x = max_pool(outputs[0], window=3, stride=2, padding=1)
        for stage, num_blocks in enumerate(self.blocks):
            for number in range(num_blocks):
                x = Block(
                    self.block,
                    self.width * 2**stage,
                    stride=2 if stage > 0 and number == 0 else 1,
                    groups=self.groups,
                    group_width=self.group_width * 2**stage,
                    norm=self.norm,
                    dtype=self.dtype,
                    name=f"layer{stage + 1}_{number}",
                )(x, train=train)
            outputs.append(x)
        return tuple(outputs)


class Block(nn.Module):
    """Residual block: relu(branch(x) + shortcut(x)); the 3 × 3 (the first of two) has the stride.

    The shortcut is the identity, or where shapes differ a 1 × 1 convolution and a norm.
    """

    kind: BlockKind
    width: int
    stride: int
    groups: int = 1
    group_width: int = 64
    norm: Callable[..., BatchNorm] = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n *s i"], *, train: bool) -> Float[Array, "n *t o"]:
        """Add the branch to the shortcut."""

        def layer(name: str, x: jax.Array, features: int, **options: Any) -> jax.Array:
            made = ConvNorm(features, **options, norm=self.norm, dtype=self.dtype, name=name)
            return made(x, train=train)

        features = self.width * EXPANSION[self.kind]
        if self.kind == "basic":
            y = relu(layer("conv1", x, features, size=3, stride=self.stride))
            y = layer("conv2", y, features, size=3)
        else:
            inner = self.groups * self.group_width
            y = relu(layer("conv1", x, inner, size=1))
            y = layer("conv2", y, inner, size=3, stride=self.stride, groups=self.groups)
            y = layer("conv3", relu(y), features, size=1)
        if self.stride != 1 or x.shape[-1] != features:
            x = layer("shortcut", x, features, size=1, stride=self.stride)
        return relu(y + x)


class ConvNorm(nn.Module):
    """A convolution without bias that keeps the grid or divides it by `stride`; batch norm."""

    features: int
    size: int
    stride: PerAxis = 1
    groups: int = 1
    norm: Callable[..., BatchNorm] = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "n *s i"],
        *,
        train: bool,
        gate: Float[Array, "n *t o"] | None = None,
    ) -> Float[Array, "n *t o"]:
        """Convolve, multiply by the gate where there is one, normalize."""
        x = Conv(
            self.features,
            (self.size,) * (x.ndim - 2),
            padding=self.size // 2,
            stride=self.stride,
            groups=self.groups,
            use_bias=False,
            kernel_init=he_normal_fan_out,
            dtype=self.dtype,
            name="conv",
        )(x)
        if gate is not None:
            check.same_shape(gate=gate, convolved=x)
            x = x * gate.astype(x.dtype)
        return self.norm(name="norm")(x, train=train)


class Classifier(nn.Module):
    """Global mean of a trunk's last output, dropout, one linear layer to logits in float32."""

    trunk: ResNet
    num_classes: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, image: Float[Array, "n *s c"], *, train: bool) -> Float[Array, "n k"]:
        """Logits; in training with dropout the random stream `dropout` is needed."""
        x = global_mean(self.trunk(image, train=train)[-1])
        x = Dropout(self.dropout, deterministic=not train)(x)
        return linear(x, self.num_classes, name="fc")


def global_mean(features: Float[Array, "n *s c"]) -> Float[Array, "n c"]:
    """Mean over space, in float32."""
    return features.astype(jnp.float32).mean(range(1, features.ndim - 1))
