"""The U-Nets of nnU-Net, from a plan: plain or residual encoder, strided down and transposed up.

A stage of the encoder halves what its stride says in its first convolution; a stage of the decoder
enlarges by the same stride, puts the skip behind the enlarged map and convolves. Every unit is
convolution, instance norm, leaky ReLU. Sources: Isensee et al. 2021, and the published networks of
nnU-Net 1.7 and 2 (`dynamic_network_architectures`), whose values these give with their weights.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype
from jaxtyping import Array, Float

from core import check
from core.nn.blocks import Conv, ConvNormActivation, ConvTranspose
from core.nn.init import he_normal_leaky, he_normal_leaky_transposed
from core.nn.norm import InstanceNorm

Axes = tuple[int, int, int]


@dataclass(frozen=True)
class UNetPlan:
    """Shape of a U-Net.

    Args:
      features: channels of each stage, the highest resolution first.
      strides: of each stage; the first is mostly 1.
      kernels: of each stage.
      encoder: convolutions in a row, or residual blocks after a stem.
      encoder_units: convolutions, or blocks, of each stage on the way down.
      decoder_units: convolutions of each stage on the way up, the highest resolution first.
      transposed_bias: whether transposed convolutions have one (nnU-Net 2 has, 1.7 has not).
      decoder_kernels: of each stage on the way up, the highest resolution first; None is the
        encoder's. (nnU-Net 1.7 takes those of the stage below.)
    """

    features: tuple[int, ...] = (32, 64, 128, 256, 320, 320)
    strides: tuple[Axes, ...] = ((1, 1, 1), *((2, 2, 2),) * 4, (1, 2, 2))
    kernels: tuple[Axes, ...] = ((3, 3, 3),) * 6
    encoder: str = "plain"
    encoder_units: tuple[int, ...] = (2,) * 6
    decoder_units: tuple[int, ...] = (2,) * 5
    transposed_bias: bool = False
    decoder_kernels: tuple[Axes, ...] | None = None

    def __post_init__(self) -> None:
        check.one_of("encoder", self.encoder, ("plain", "residual"))
        num = len(self.features)
        for name in ("strides", "kernels", "encoder_units"):
            if len(getattr(self, name)) != num:
                raise ValueError(f"{name} must have {num} stages, as features has")
        for name in ("decoder_units", "decoder_kernels"):
            if len(getattr(self, name) or self.decoder_units) != num - 1:
                raise ValueError(f"{name} must have {num - 1} stages, one less than features")

    @property
    def downsampling(self) -> Axes:
        """Voxels of the image per voxel of the deepest map, which must divide the image."""
        return self.downsampling_of(len(self.strides) - 1)

    def downsampling_of(self, stage: int) -> Axes:
        """Voxels of the image per voxel of a stage."""
        depth, height, width = (
            math.prod(axis) for axis in zip(*self.strides[: stage + 1], strict=True)
        )
        return depth, height, width


class Features(NamedTuple):
    """Maps of a U-Net."""

    decoder: tuple[Float[Array, "n d h w c"], ...]
    """What heads are put on, the highest resolution first; none of an encoder alone."""
    bottleneck: Float[Array, "n d h w c"]


class UNet(nn.Module):
    """Encoder, decoder and skips, without heads; or the encoder alone."""

    plan: UNetPlan
    dtype: Dtype = jnp.float32
    has_decoder: bool = True

    @nn.compact
    def __call__(self, image: Float[Array, "n d h w c"]) -> Features:
        """Features of a batch of images whose sizes the strides divide."""
        plan, unit = self.plan, partial(_unit, dtype=self.dtype)
        for size, factor in zip(image.shape[1:-1], plan.downsampling, strict=True):
            check.divisible("image spatial shape", (size,), factor, "strides of the U-Net")
        x, maps = image, []
        if plan.encoder == "residual":
            x = unit(plan.features[0], plan.kernels[0], name="stem")(x)
        stages = zip(plan.features, plan.kernels, plan.strides, plan.encoder_units, strict=True)
        for s, (features, kernel, stride, num) in enumerate(stages):
            stage = ResidualStage if plan.encoder == "residual" else Stage
            x = stage(num, features, kernel, stride, self.dtype, name=f"down{s}")(x)
            maps.append(x)
        decoded = []
        for s in reversed(range(len(plan.features) - 1 if self.has_decoder else 0)):
            features, stride = plan.features[s], plan.strides[s + 1]
            kernel = (plan.decoder_kernels or plan.kernels)[s]
            x = ConvTranspose(
                features,
                stride,
                stride,
                use_bias=plan.transposed_bias,
                kernel_init=he_normal_leaky_transposed,
                dtype=self.dtype,
                name=f"enlarge{s}",
            )(x)
            x = jnp.concatenate([x, maps[s]], axis=-1)
            num = plan.decoder_units[s]
            x = Stage(num, features, kernel, (1, 1, 1), self.dtype, name=f"up{s}")(x)
            decoded.append(x)
        return Features(tuple(decoded[::-1]), maps[-1])


class Heads(nn.Module):
    """Logits from the maps of the decoder: one output, or several for deep supervision.

    Args:
      num_classes: of each head.
      kind: "conv" is nnU-Net's 1³ convolution; "unit" has a 1³ unit before it, "block" a 3³ one.
      use_bias: of the last convolution (nnU-Net 2 has one, 1.7 has not).
    """

    num_classes: int
    kind: str = "conv"
    use_bias: bool = True

    @nn.compact
    def __call__(
        self,
        maps: Sequence[Float[Array, "n _ _ _ _"]],
        gates: Sequence[Float[Array, "n _ _ _ 1"]] | None = None,
    ) -> tuple[Float[Array, "n _ _ _ k"], ...]:
        """Logits in float32 at the resolution of each map.

        Args:
          maps: of the decoder, the highest resolution first; as many as outputs are wanted.
          gates: multiply the maps before their heads.
        """
        check.one_of("kind", self.kind, ("conv", "unit", "block"))
        outputs = []
        for s, x in enumerate(maps):
            if gates is not None:
                x = x * gates[s].astype(x.dtype)
            if self.kind != "conv":
                side = 3 if self.kind == "block" else 1
                x = _unit(x.shape[-1], (side, side, side), dtype=x.dtype, name=f"unit{s}")(x)
            head = Conv(
                self.num_classes,
                (1, 1, 1),
                padding=0,
                use_bias=self.use_bias,
                kernel_init=he_normal_leaky,
                name=f"head{s}",
            )
            outputs.append(head(x.astype(jnp.float32)))
        return tuple(outputs)


def _unit(
    features: int,
    kernel: Axes,
    stride: Axes = (1, 1, 1),
    *,
    activation: Callable[[Array], Array] = jax.nn.leaky_relu,
    use_bias: bool = True,
    dtype: Dtype,
    name: str,
) -> Callable[[Array], Array]:
    """Convolution with the padding that keeps the size, instance norm, activation."""
    conv = Conv(
        features,
        kernel,
        padding=tuple(k // 2 for k in kernel),
        stride=stride,
        use_bias=use_bias,
        kernel_init=he_normal_leaky,
        dtype=dtype,
        parent=None,
    )
    return partial(ConvNormActivation(conv, InstanceNorm, activation, name=name), train=False)


class Stage(nn.Module):
    """Units in a row, the first of which has the stride."""

    num: int
    features: int
    kernel: Axes
    stride: Axes
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n d h w c"]) -> Float[Array, "n e i j o"]:
        """Convolve."""
        for i in range(self.num):
            stride = self.stride if i == 0 else (1, 1, 1)
            x = _unit(self.features, self.kernel, stride, dtype=self.dtype, name=f"conv{i}")(x)
        return x


class ResidualStage(nn.Module):
    """Residual blocks in a row, the first of which has the stride.

    A block is leaky_relu(conv2(conv1(x)) + shortcut(x)); the shortcut averages over the stride and,
    where the number of channels changes, projects.
    """

    num: int
    features: int
    kernel: Axes
    stride: Axes
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "n d h w c"]) -> Float[Array, "n e i j o"]:
        """Convolve."""
        unit = partial(_unit, self.features, dtype=self.dtype)
        for b in range(self.num):
            stride = self.stride if b == 0 else (1, 1, 1)
            name = f"block{b}"
            out = unit(self.kernel, stride, name=f"{name}_conv1")(x)
            out = unit(self.kernel, activation=_identity, name=f"{name}_conv2")(out)
            x = average_pool(x, stride)
            if x.shape[-1] != self.features:
                shortcut = partial(unit, (1, 1, 1), activation=_identity, use_bias=False)
                x = shortcut(name=f"{name}_shortcut")(x)
            x = jax.nn.leaky_relu(out + x)
        return x


def average_pool(x: Float[Array, "n d h w c"], window: Sequence[int]) -> Float[Array, "n e i j c"]:
    """Mean over blocks of a window, which divides every axis."""
    n, *sizes, channels = x.shape
    split = [part for size, k in zip(sizes, window, strict=True) for part in (size // k, k)]
    return x.reshape(n, *split, channels).mean(axis=(2, 4, 6)) if math.prod(window) > 1 else x


def _identity(x: Array) -> Array:
    return x
