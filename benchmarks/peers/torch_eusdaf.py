"""DAF-Net and the U-Nets in PyTorch, channels last, with weights copied from our parameters."""

from typing import Any

import numpy as np
import torch

from benchmarks.peers.torch_bench import Twin
from benchmarks.peers.torch_daf import DAF
from benchmarks.peers.torch_layout import to_input
from benchmarks.peers.torch_unets import UNet
from core.nn import torch_weights
from core.nn.torch_weights import ModulePath, torchvision_resnet
from core.types import Variables
from eusdaf.config import ModelConfig


def make(cfg: ModelConfig, *, num_in: int = 3) -> DAF | UNet:
    """The twin of a network, with PyTorch's own weights."""
    return DAF(cfg) if cfg.network == "daf" else UNet(cfg, num_in=num_in)


def name_of(cfg: ModelConfig) -> Any:
    """From the path of a module of ours to its name in the twin."""
    if cfg.network != "daf":
        return ".".join
    return daf_name


def daf_name(module: ModulePath) -> str:
    """The name of a module of DAF-Net, its encoder named as in torchvision."""
    if module[0] == "encoder":
        return f"resnext.{torchvision_resnet(module[1:])}"
    return decoder_name(module)


def decoder_name(module: ModulePath) -> str:
    """The authors' name of a decoder module: ("refine2_1", "norm") → "refine2.1"."""
    layer, *kind = module
    if layer.startswith("predict"):
        return layer
    # The last convolution of an attention stands alone.
    place = {"conv": 0, "norm": 1, "prelu": 2}[kind[0]] if kind else 0
    if layer.startswith("down"):
        return f"{layer}.{place}"
    # Three layers of convolution, norm and PReLU in one sequence.
    name, number = layer.split("_")
    return f"{name}.{3 * (int(number) - 1) + place}"


def build(cfg: ModelConfig, variables: Variables) -> DAF | UNet:
    """The twin of our network, holding the same numbers."""
    twin = make(cfg)
    state = twin.state_dict()
    for name, array in torch_weights.export(variables, name_of(cfg)).items():
        state[name] = torch.tensor(array)
    twin.load_state_dict(state)
    return twin.to(memory_format=torch.channels_last)


def loss(maps: list[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    """Sum of one Dice loss a map, each averaged over the batch; smooth 1."""
    total = torch.zeros((), device=mask.device)
    for logits in maps:
        probs = torch.sigmoid(logits)
        both, sizes = (probs * mask).sum((1, 2, 3)), (probs + mask).sum((1, 2, 3))
        total = total + (1 - (2 * both + 1) / (sizes + 1)).mean()
    return total


def twin(cfg: ModelConfig, variables: Variables, image: np.ndarray, mask: np.ndarray) -> Twin:
    """What `torch_bench` times; the answer of DAF-Net is the mean of its last four maps."""
    num_answers = 4 if cfg.network == "daf" else 1
    return Twin(
        make=lambda: build(cfg, variables),
        inputs=[image],
        truth=to_input(mask),
        logits=lambda maps: torch.stack(maps[-num_answers:]).mean(dim=0),
        loss=loss,
        optimizer=lambda network: torch.optim.SGD(
            network.parameters(), lr=0.007, momentum=0.9, weight_decay=0.01
        ),
    )
