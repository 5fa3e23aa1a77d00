"""3D U-Net and V-Net in PyTorch, as `s4c.model` has them, under the same names."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from s4c.config import ModelConfig
from s4c.model.vnet import CONVS_DOWN, CONVS_UP

Outputs = tuple[torch.Tensor, list[torch.Tensor]]


class Unit(nn.Module):
    """A convolution (or a transposed one), batch norm, and what activates them."""

    def __init__(self, conv: nn.Module, activation: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm3d(conv.out_channels, eps=1e-5, momentum=0.1)
        self.prelu = activation(conv.out_channels)

    def forward(self, x: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        """Convolve, normalize, add, activate."""
        y = self.norm(self.conv(x))
        return self.prelu(y if plus is None else y + plus)


def _relu(num_channels: int) -> nn.Module:
    return nn.ReLU()


class UNet3D(nn.Module):
    """The layers of `s4c.model.unet3d.UNet3D`."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__()
        channels, width = 1, cfg.width
        for step in range(4):
            self.convs(f"enc{step + 1}", channels, width * 2**step, width * 2 ** (step + 1))
            channels = width * 2 ** (step + 1)
        for step in range(3, 0, -1):
            features = width * 2**step
            self.add_module(f"up{step}", nn.ConvTranspose3d(channels, 2 * features, 2, stride=2))
            self.convs(f"dec{step}", 3 * features, features, features)
            channels = features
        self.score = nn.Conv3d(channels, cfg.num_classes, 1)

    def convs(self, name: str, num_in: int, first: int, second: int) -> None:
        """Register the two convolutions of a step."""
        self.add_module(f"{name}a", Unit(nn.Conv3d(num_in, first, 3, padding=1), _relu))
        self.add_module(f"{name}b", Unit(nn.Conv3d(first, second, 3, padding=1), _relu))

    def forward(self, x: torch.Tensor) -> Outputs:
        """Logits; there are no auxiliary ones."""
        layer, skips = self.get_submodule, []
        for step in range(1, 5):
            x = F.max_pool3d(x, 2) if step > 1 else x
            x = layer(f"enc{step}b")(layer(f"enc{step}a")(x))
            skips.append(x)
        for step in range(3, 0, -1):
            x = torch.cat([layer(f"up{step}")(x), skips[step - 1]], dim=1)
            x = layer(f"dec{step}b")(layer(f"dec{step}a")(x))
        return self.score(x), []


class VNet(nn.Module):
    """The layers of `s4c.model.vnet.VNet`."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__()
        self.width = cfg.width
        self.stage("down1", 1, cfg.width, CONVS_DOWN[0])
        for step, num in enumerate(CONVS_DOWN[1:], start=2):
            features = cfg.width * 2 ** (step - 1)
            down = nn.Conv3d(features // 2, features, 2, stride=2)
            self.add_module(f"down{step}_stride", Unit(down, nn.PReLU))
            self.stage(f"down{step}", features, features, num)
        for step in range(len(CONVS_UP), 0, -1):
            features = cfg.width * 2 ** (step - 1)
            # The stages below put out twice their skip's channels, the deepest its own.
            below = features * (2 if step == len(CONVS_UP) else 4)
            up = nn.ConvTranspose3d(below, features, 2, stride=2)
            self.add_module(f"up{step}_stride", Unit(up, nn.PReLU))
            self.stage(f"up{step}", 2 * features, 2 * features, CONVS_UP[step - 1])
        last = nn.Conv3d(2 * cfg.width, cfg.num_classes, 5, padding=2)
        self.out = Unit(last, nn.PReLU)
        self.score = nn.Conv3d(cfg.num_classes, cfg.num_classes, 1)

    def stage(self, name: str, num_in: int, features: int, num_convs: int) -> None:
        """Register the convolutions of a stage."""
        for number in range(1, num_convs + 1):
            conv = nn.Conv3d(num_in if number == 1 else features, features, 5, padding=2)
            self.add_module(f"{name}_conv{number}", Unit(conv, nn.PReLU))

    def through(self, name: str, x: torch.Tensor, residual: torch.Tensor, num: int) -> torch.Tensor:
        """Run a stage; its residual is added before the last activation."""
        for number in range(1, num + 1):
            unit = self.get_submodule(f"{name}_conv{number}")
            x = unit(x, residual if number == num else None)
        return x

    def forward(self, x: torch.Tensor) -> Outputs:
        """Logits; there are no auxiliary ones."""
        x = self.through("down1", x, x.repeat(1, self.width, 1, 1, 1), CONVS_DOWN[0])
        skips = [x]
        for step, num in enumerate(CONVS_DOWN[1:], start=2):
            x = self.get_submodule(f"down{step}_stride")(x)
            skips.append(x := self.through(f"down{step}", x, x, num))
        for step in range(len(CONVS_UP), 0, -1):
            x = self.get_submodule(f"up{step}_stride")(x)
            x = torch.cat([x, skips[step - 1]], dim=1)
            x = self.through(f"up{step}", x, x, CONVS_UP[step - 1])
        return self.score(self.out(x)), []
