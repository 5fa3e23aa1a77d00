"""ResNet, ResNeXt and 3D ResNet in PyTorch; names, layouts and defaults are torchvision's."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}
"""By the number of spatial axes."""


class Bottleneck(nn.Module):
    """1 × 1, grouped 3 × 3 with the stride, 1 × 1 to four times the base width."""

    def __init__(self, num_in: int, width: int, inner: int, stride: int, groups: int) -> None:
        super().__init__()
        num_out = 4 * width
        self.conv1 = nn.Conv2d(num_in, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, num_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(num_out)
        self.downsample = shortcut(num_in, num_out, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the branch to the shortcut."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


class Basic(nn.Module):
    """Two 3 × 3, the first with the stride."""

    def __init__(self, num_in: int, width: int, stride: int, axes: int = 2) -> None:
        super().__init__()
        self.conv1 = CONV[axes](num_in, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = NORM[axes](width)
        self.conv2 = CONV[axes](width, width, 3, padding=1, bias=False)
        self.bn2 = NORM[axes](width)
        self.downsample = shortcut(num_in, width, stride, axes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the branch to the shortcut."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


def shortcut(num_in: int, num_out: int, stride: int, axes: int = 2) -> nn.Module:
    """The identity, or a projection where shapes differ."""
    if stride == 1 and num_in == num_out:
        return nn.Identity()
    return nn.Sequential(
        CONV[axes](num_in, num_out, 1, stride=stride, bias=False), NORM[axes](num_out)
    )


class ResNet(nn.Module):
    """Stem and four stages; `forward` returns the outputs of all five.

    A sequence of three as `stem_stride` makes a 3D ResNet, of basic blocks alone.
    """

    def __init__(
        self,
        kind: str,
        blocks: Sequence[int],
        *,
        width: int = 64,
        groups: int = 1,
        group_width: int = 64,
        num_in: int = 3,
        stem_stride: Sequence[int] = (2, 2),
    ) -> None:
        super().__init__()
        axes = len(stem_stride)
        self.conv1 = CONV[axes](num_in, width, 7, stride=stem_stride, padding=3, bias=False)
        self.bn1 = NORM[axes](width)
        self.max_pool = MAX_POOL[axes]
        channels = width
        for stage, count in enumerate(blocks):
            made = []
            base = width * 2**stage
            for number in range(count):
                stride = 2 if stage and number == 0 else 1
                if kind == "basic":
                    made.append(Basic(channels, base, stride, axes))
                    channels = base
                else:
                    inner = groups * group_width * 2**stage
                    made.append(Bottleneck(channels, base, inner, stride, groups))
                    channels = 4 * base
            self.add_module(f"layer{stage + 1}", nn.Sequential(*made))

    def forward(self, image: torch.Tensor, gate: torch.Tensor | None = None) -> list[torch.Tensor]:
        """Stem at 1/2 and stages at 1/4, 1/8, 1/16, 1/32; a gate multiplies `conv1`'s output."""
        x = self.conv1(image)
        x = F.relu(self.bn1(x if gate is None else x * gate), inplace=True)
        outputs = [x]
        x = self.max_pool(x, 3, stride=2, padding=1)
        for stage in range(1, 5):
            x = self.get_submodule(f"layer{stage}")(x)
            outputs.append(x)
        return outputs
