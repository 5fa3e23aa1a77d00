"""LNMet's status networks in PyTorch; names are torchvision's and those of our own modules."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers import torch_resnext
from core.nn.torch_weights import ModulePath, torchvision_resnet
from lnmet.model.status_network import BLOCKS, STEM_STRIDE
from lnmet.model.texture import HEADS
from lnmet.status.config import ModelConfig


class Encoding(nn.Module):
    """By the definition, with all differences in one tensor (n, i, k, d)."""

    def __init__(self, codewords: int, descriptors: int) -> None:
        super().__init__()
        bound = (codewords * descriptors) ** -0.5
        self.codewords = nn.Parameter(torch.empty(codewords, descriptors).uniform_(-bound, bound))
        self.scale = nn.Parameter(torch.empty(codewords).uniform_(-1, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d, …) → (n, k · d)."""
        x = x.flatten(2).transpose(1, 2)
        shares = torch.softmax(scaled_l2(x, self.codewords, self.scale), dim=2)
        return aggregate(shares, x, self.codewords).flatten(1)


def scaled_l2(x: torch.Tensor, codewords: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """s_k ‖x_i − c_k‖² (n, i, k): the function of that name of the package torch-encoding 1.0.1."""
    return scale * (x.unsqueeze(2) - codewords).square().sum(3)


def aggregate(shares: torch.Tensor, x: torch.Tensor, codewords: torch.Tensor) -> torch.Tensor:
    """Σ_i a_ik (x_i − c_k) (n, k, d): the function of that name of torch-encoding 1.0.1."""
    return (shares.unsqueeze(3) * (x.unsqueeze(2) - codewords)).sum(1)


class Texture(nn.Module):
    """Descriptors, their encoding, scaled to length 1."""

    def __init__(self, kind: str, num_in: int) -> None:
        super().__init__()
        descriptors, codewords = HEADS[kind]
        if descriptors is None:
            self.norm = nn.BatchNorm2d(num_in)
        else:
            self.descriptors = nn.Sequential()
            self.descriptors.add_module("conv", nn.Conv2d(num_in, descriptors, 1))
            self.descriptors.add_module("norm", nn.BatchNorm2d(descriptors))
            self.descriptors.add_module("relu", nn.ReLU())
        self.encoding = Encoding(codewords, descriptors or num_in)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, c, h, w) → (n, k · d)."""
        x = self.norm(x) if hasattr(self, "norm") else self.descriptors(x)
        return F.normalize(self.encoding(x), dim=1, eps=1e-8)


class StatusNetwork(torch_resnext.ResNet):
    """ResNet-18 with a side branch, pooling, the nodes' volume and the last layers."""

    def __init__(self, cfg: ModelConfig) -> None:
        stride = STEM_STRIDE[cfg.network]
        super().__init__("basic", BLOCKS, width=cfg.width, stem_stride=stride)
        self.cfg = cfg
        self.side = torch_resnext.CONV[len(stride)](1, cfg.width, 7, stride=stride, padding=3)
        last, features = 8 * cfg.width, 0
        if cfg.pooling != "texture":
            features += last
        if cfg.pooling != "mean":
            self.texture = Texture(cfg.texture, last)
            features += self.texture.encoding.codewords.numel()
        if cfg.nodes:
            self.volume_norm, self.volume_fc = nn.BatchNorm1d(1), nn.Linear(1, features)
        if cfg.hidden:
            self.hidden = nn.Linear(features, cfg.hidden)
        self.fc = nn.Linear(cfg.hidden or features, 2)

    def forward(
        self, image: torch.Tensor, mask: torch.Tensor, volume_mm3: torch.Tensor
    ) -> torch.Tensor:
        """Logits (n, 2)."""
        features, cfg = super().forward(image, F.relu(self.side(mask)))[-1], self.cfg
        pooled = []
        if cfg.pooling != "texture":
            pooled.append(features.flatten(2).mean(2))
        if cfg.pooling != "mean":
            pooled.append(self.texture(features))
        x = torch.cat(pooled, dim=1)
        if cfg.nodes:
            x = x + self.volume_fc(self.volume_norm(volume_mm3[:, None]))
        return self.fc(F.relu(self.hidden(x)) if cfg.hidden else x)


def name_of(module: ModulePath) -> str:
    """The twin's name of a module of ours."""
    if module[0] == "trunk":
        return torchvision_resnet(module[1:])
    return "side" if module == ("side", "conv") else ".".join(module)
