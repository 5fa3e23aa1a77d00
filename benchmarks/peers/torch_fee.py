"""FEE-DL's three networks in PyTorch; names are torchvision's and those of `fee.model.unet`."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers import torch_resnext
from benchmarks.peers.torch_bench import Twin
from core.nn.torch_weights import ModulePath, export, torchvision_resnet
from core.types import ModelState, Params, Variables
from fee.config import Config, ModelConfig
from fee.model import NUM_POOLINGS


class ResNet(torch_resnext.ResNet):
    """ResNet18 or ResNet34 of one channel and two classes."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__("basic", cfg.blocks, width=cfg.width, num_in=1)
        self.dropout = nn.Dropout(cfg.dropout)
        self.fc = nn.Linear(8 * cfg.width, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (n, 2)."""
        return self.fc(self.dropout(super().forward(image)[-1].mean((2, 3))))


class UNet(nn.Module):
    """U-Net32 and its variants; logits (n, 2, h, w)."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__()
        self.cfg = cfg
        widths = [cfg.width * 2**step for step in range(NUM_POOLINGS)]
        channels = 1
        for step, width in enumerate(widths, start=1):
            channels = self.add_block(f"down{step}", channels, width)
        if cfg.middle:
            channels = self.add_block("middle", channels, 2 * channels)
        for step, width in reversed(list(enumerate(widths, start=1))):
            self.add_module(f"enlarge{step}", nn.ConvTranspose2d(channels, width, 3, stride=2))
            channels = self.add_block(f"up{step}", 2 * width, width)
        self.score = nn.Conv2d(cfg.width, 2, 1)

    def add_block(self, name: str, num_in: int, num_out: int) -> int:
        """Register convolutions, norms and ReLUs."""
        for number in range(1, self.cfg.convs + 1):
            made = nn.Sequential()
            made.add_module("conv", nn.Conv2d(num_in, num_out, 3, padding=1))
            made.add_module("norm", nn.BatchNorm2d(num_out))
            made.add_module("relu", nn.ReLU(inplace=True))
            self.add_module(f"{name}_{number}", made)
            num_in = num_out
        return num_out

    def block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Apply them."""
        for number in range(1, self.cfg.convs + 1):
            x = self.get_submodule(f"{name}_{number}")(x)
        return x

    def dropped(self, x: torch.Tensor) -> torch.Tensor:
        """Drop features in training."""
        return F.dropout(x, self.cfg.dropout, self.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Four steps down, four steps up."""
        skips = {}
        for step in range(1, NUM_POOLINGS + 1):
            skips[step] = self.block(f"down{step}", x)
            x = self.dropped(F.max_pool2d(skips[step], 2))
        if self.cfg.middle:
            x = self.block("middle", x)
        for step in range(NUM_POOLINGS, 0, -1):
            # The last row and column are beyond the doubled grid.
            x = self.get_submodule(f"enlarge{step}")(x)[:, :, :-1, :-1]
            x = self.block(f"up{step}", self.dropped(torch.cat((skips[step], x), dim=1)))
        return self.score(x)


def make(cfg: ModelConfig) -> nn.Module:
    """The twin of a network, with its eps and momentum."""
    twin = UNet(cfg) if cfg.network == "unet" else ResNet(cfg)
    for module in twin.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = cfg.norm_eps, 1 - cfg.norm_momentum
    return twin


def load(cfg: ModelConfig, params: Params, model_state: ModelState) -> nn.Module:
    """The twin with our weights, channels last."""
    twin, arrays = make(cfg), export({"params": params, **model_state}, name_of)
    for name, array in arrays.items():
        if name.startswith("enlarge") and array.ndim == 4:
            arrays[name] = np.flip(array, (2, 3)).swapaxes(0, 1)
    tensors = {name: torch.tensor(np.ascontiguousarray(array)) for name, array in arrays.items()}
    missing, unexpected = twin.load_state_dict(tensors, strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise ValueError(f"tensors without a counterpart: {wrong}")
    return twin.to(memory_format=torch.channels_last)


def name_of(module: ModulePath) -> str:
    """The twin's name of a module of ours."""
    if module[0] == "trunk":
        return torchvision_resnet(module[1:])
    return ".".join(module)


def tensors_of(named: Iterable[tuple[str, torch.Tensor]]) -> dict[str, np.ndarray]:
    """Arrays by name; transposed kernels (i, o, k, k) as the mirrored (o, i, k, k) of ours."""
    arrays = {}
    for name, tensor in named:
        array = tensor.detach().float().numpy()
        if name.startswith("enlarge") and array.ndim == 4:
            array = np.flip(array, (2, 3)).swapaxes(0, 1)
        if not name.endswith("num_batches_tracked"):
            arrays[name] = array
    return arrays


def twin(cfg: Config, variables: Variables, image: np.ndarray, label: np.ndarray) -> Twin:
    """What `torch_bench` times."""
    params = variables["params"]
    model_state = {name: value for name, value in variables.items() if name != "params"}

    def optimizer(network: nn.Module) -> torch.optim.Adam:
        optim = cfg.optim
        return torch.optim.Adam(
            network.parameters(), optim.learning_rate, (optim.beta1, optim.beta2), optim.eps
        )

    return Twin(
        make=lambda: load(cfg.model, params, model_state),
        inputs=[image],
        truth=torch.tensor(label).long(),
        logits=lambda outputs: outputs,
        loss=F.cross_entropy,
        optimizer=optimizer,
    )
