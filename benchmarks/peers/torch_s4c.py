"""The networks of S4C in PyTorch, channels last, with weights copied from our parameters."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.torch_bench import Twin
from benchmarks.peers.torch_layout import LAYOUT, kernel
from benchmarks.peers.torch_s4c_compared import UNet3D, VNet
from core.types import ModelState, Params, Variables
from s4c.config import Config, ModelConfig


class ConvNormRelu(nn.Module):
    """A convolution (or a transposed one), batch norm, ReLU."""

    def __init__(self, conv: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.norm = nn.BatchNorm3d(conv.out_channels, eps=1e-5, momentum=0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve, normalize, rectify."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class ResDSN(nn.Module):
    """The layers of `s4c.model.resdsn.ResDSN` under the same names."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__()
        self.cfg = cfg
        channels = [1] + [cfg.width * 2**step for step in range(4)]
        for step in range(1, 5):
            self.add(f"conv{step}a", nn.Conv3d, channels[step - 1], channels[step], 3)
            if step > 1 or cfg.convs_step1 == 2:
                self.add(f"conv{step}b", nn.Conv3d, channels[step], channels[step], 3)
        for step in range(3, 0, -1):
            self.add(f"deconv{step}", nn.ConvTranspose3d, channels[step + 1], channels[step], 4)
            self.add(f"res_conv{step}a", nn.Conv3d, channels[step], channels[step], 3)
            self.add(f"res_conv{step}b", nn.Conv3d, channels[step], channels[step], 3)
        self.score = nn.Conv3d(cfg.width, cfg.num_classes, 1)
        for number in range(1, cfg.num_aux + 1):
            for step in range(number, 0, -1):
                name = f"aux{number}_deconv{step}"
                self.add(name, nn.ConvTranspose3d, channels[step + 1], channels[step], 4)
            self.add_module(f"aux{number}_score", nn.Conv3d(cfg.width, cfg.num_classes, 1))

    def add(self, name: str, kind: type, num_in: int, num_out: int, size: int) -> None:
        """Register one layer; kernel 3 keeps the grid, kernel 4 with stride 2 doubles it."""
        conv = kind(num_in, num_out, size, stride=size - 2, padding=1, bias=self.cfg.conv_bias)
        self.add_module(name, ConvNormRelu(conv))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Main logits and, in training, the auxiliary ones."""
        layer = self.get_submodule
        skips, decoded = {}, {}
        for step in range(1, 5):
            x = layer(f"conv{step}a")(x)
            if step > 1 or self.cfg.convs_step1 == 2:
                x = layer(f"conv{step}b")(x)
            if step < 4:
                skips[step] = x
                x = F.max_pool3d(x, 2)
        for step in range(3, 0, -1):
            x = layer(f"deconv{step}")(x) + skips[step]
            x = layer(f"res_conv{step}b")(layer(f"res_conv{step}a")(x))
            decoded[step] = x
        main, aux = self.score(x), []
        branches = skips if self.cfg.aux_at == "encoder" else decoded
        for number in range(1, self.cfg.num_aux + 1 if self.training else 1):
            x = branches[number + 1]
            for step in range(number, 0, -1):
                x = layer(f"aux{number}_deconv{step}")(x)
            aux.append(layer(f"aux{number}_score")(x))
        return main, aux


NETWORKS: Mapping[str, type[nn.Module]] = {"resdsn": ResDSN, "unet3d": UNet3D, "vnet": VNet}


def build(cfg: ModelConfig, params: Params, model_state: ModelState) -> nn.Module:
    """The twin of our network, holding the same numbers."""
    twin = NETWORKS[cfg.network](cfg)
    twin.load_state_dict(to_state_dict(params, model_state))
    return twin.to(memory_format=LAYOUT)


def to_state_dict(params: Params, model_state: ModelState) -> dict[str, torch.Tensor]:
    """Our parameters and running statistics under PyTorch's names and layouts."""
    state = {}
    for name, layer in params.items():
        if "kernel" in layer:  # without a norm
            state |= _conv(name, layer, transposed=name.startswith("up"))
            continue
        is_transposed = "deconv" in name or (name.startswith("up") and name.endswith("stride"))
        state |= _conv(f"{name}.conv", layer["conv"], transposed=is_transposed)
        if "prelu" in layer:
            state[f"{name}.prelu.weight"] = _tensor(layer["prelu"]["slope"])
        running = model_state["batch_stats"][name]["norm"]
        values = {
            "weight": layer["norm"]["scale"],
            "bias": layer["norm"]["bias"],
            "running_mean": running["mean"],
            "running_var": running["var"],
            "num_batches_tracked": 0,
        }
        state |= {f"{name}.norm.{key}": _tensor(value) for key, value in values.items()}
    return state


def _conv(name: str, layer: Any, *, transposed: bool) -> dict[str, torch.Tensor]:
    state = {f"{name}.weight": kernel(np.asarray(layer["kernel"]), transposed=transposed)}
    return state | ({f"{name}.bias": _tensor(layer["bias"])} if "bias" in layer else {})


def _tensor(value: Any) -> torch.Tensor:
    return torch.tensor(np.asarray(value))


def loss(
    cfg: Config, outputs: tuple[torch.Tensor, list[torch.Tensor]], label: torch.Tensor
) -> torch.Tensor:
    """Main cross-entropy plus the weighted auxiliary ones, class weights not normalized."""
    main, aux = outputs
    class_weights = torch.tensor(cfg.loss.class_weights).to(main)

    def entropy(logits: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, label, weight=class_weights, reduction="none").mean()

    total = entropy(main)
    for weight, logits in zip(cfg.loss.aux_weights, aux, strict=True):
        total = total + weight * entropy(logits)
    return total


def optimizer(cfg: Config, twin: nn.Module) -> torch.optim.SGD:
    """SGD with the recipe's momentum and weight decay."""
    return torch.optim.SGD(
        twin.parameters(),
        lr=cfg.optim.learning_rate,
        momentum=cfg.optim.momentum,
        weight_decay=cfg.optim.weight_decay,
    )


def twin(cfg: Config, variables: Variables, image: np.ndarray, label: np.ndarray) -> Twin:
    """What `torch_bench` times."""
    weights = variables["params"], {"batch_stats": variables["batch_stats"]}
    return Twin(
        make=lambda: build(cfg.model, *weights),
        inputs=[image],
        truth=torch.tensor(label).long(),
        logits=lambda outputs: outputs[0],
        loss=partial(loss, cfg),
        optimizer=partial(optimizer, cfg),
    )
