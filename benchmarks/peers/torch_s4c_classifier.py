"""The classifier of S4C in PyTorch, with weights copied from our parameters."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.torch_layout import kernel
from core.types import Params
from s4c.classifier.config import ModelConfig


class Classifier(nn.Module):
    """The layers of `s4c.model.classifier.Classifier` under the same names, for whole regions."""

    def __init__(self, cfg: ModelConfig, num_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(num_channels, cfg.width, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(cfg.groups, cfg.width)
        self.conv2 = nn.Conv3d(cfg.width, cfg.width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(cfg.groups, cfg.width)
        self.score = nn.Linear(cfg.width, 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of features (n, c, d, h, w)."""
        x = F.relu(self.norm1(self.conv1(features)))
        x = F.relu(self.norm2(self.conv2(x)))
        return self.score(x.mean((2, 3, 4)))


def build(cfg: ModelConfig, params: Params, num_channels: int) -> Classifier:
    """The twin of our network, holding the same numbers."""
    twin = Classifier(cfg, num_channels)
    twin.load_state_dict(to_state_dict(params))
    return twin


def to_state_dict(params: Params) -> dict[str, torch.Tensor]:
    """Our parameters under PyTorch's names and layouts."""
    state = {
        "score.weight": torch.tensor(np.array(params["score"]["kernel"]).T),
        "score.bias": torch.tensor(np.array(params["score"]["bias"])),
    }
    for number in (1, 2):
        weights, norm = params[f"conv{number}"]["kernel"], params[f"norm{number}"]
        state[f"conv{number}.weight"] = kernel(np.asarray(weights), transposed=False)
        state[f"norm{number}.weight"] = torch.tensor(np.array(norm["scale"]))
        state[f"norm{number}.bias"] = torch.tensor(np.array(norm["bias"]))
    return state
