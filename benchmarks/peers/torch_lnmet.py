"""nnU-Net's own network in PyTorch, with LNMet's gates and heads, and our parameters.

Encoder and decoder are `PlainConvUNet` of `dynamic_network_architectures`; the loss is written from
the equations, the optimizer and the clipping are those of nnU-Net's trainer.
"""

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

from benchmarks.peers.torch_bench import Twin
from benchmarks.peers.torch_layout import LAYOUT
from core.nn import nnunet_names, torch_weights
from core.nn.torch_weights import ModulePath
from core.nn.unet import UNetPlan
from core.types import Variables
from lnmet.config import Config, LossConfig
from lnmet.loss import resolution_weights
from lnmet.model import plan_of


class Network(nn.Module):
    """The layers of `lnmet.model.Network` under nnU-Net's names; those of its own are `units`."""

    def __init__(self, cfg: Config, num_channels: int, num_classes: int) -> None:
        super().__init__()
        self.attention = cfg.model.attention
        plan = plan_of(cfg.model)
        published = _published(plan, num_channels, num_classes)
        self.encoder, self.decoder = published.encoder, published.decoder
        for layer in self.decoder.transpconvs:
            layer.bias = None  # nnU-Net 2 has it, 1.7 has not
        if not cfg.model.attention:
            for layer in self.decoder.seg_layers:
                layer.bias = None
        has_units = cfg.model.head == "unit"
        self.units = nn.ModuleList(_unit(n) for n in plan.features[:-1] if has_units)

    def forward(self, image: torch.Tensor, gate: torch.Tensor) -> list[torch.Tensor]:
        """Logits of each resolution, the highest first; in evaluation the highest alone."""
        skips = self.encoder(image)
        x, maps = skips.pop(), []
        for enlarge, stage in zip(self.decoder.transpconvs, self.decoder.stages, strict=True):
            x = stage(torch.cat([enlarge(x), skips.pop()], dim=1))
            maps.insert(0, x)
        heads = list(self.decoder.seg_layers)[::-1]
        outputs = []
        for s, x in enumerate(maps if self.training else maps[:1]):
            if self.attention:
                x = x * F.adaptive_avg_pool3d(gate, x.shape[2:])
            outputs.append(heads[s](self.units[s](x) if len(self.units) else x))
        return outputs


def _published(plan: UNetPlan, num_channels: int, num_classes: int) -> PlainConvUNet:
    return PlainConvUNet(
        num_channels,
        len(plan.features),
        list(plan.features),
        nn.Conv3d,
        plan.kernels,
        plan.strides,
        list(plan.encoder_units),
        num_classes,
        list(plan.decoder_units[::-1]),
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
    )


def _unit(channels: int) -> nn.Sequential:
    norm = nn.InstanceNorm3d(channels, eps=1e-5, affine=True)
    return nn.Sequential(nn.Conv3d(channels, channels, 1), norm, nn.LeakyReLU(inplace=True))


def build(cfg: Config, variables: Variables) -> Network:
    """The twin of our network, holding the same numbers."""
    params = variables["params"]
    num_channels = params["unet"]["down0"]["conv0"]["conv"]["kernel"].shape[3]
    num_classes = params["heads"]["head0"]["kernel"].shape[-1]
    twin = Network(cfg, num_channels, num_classes)
    # nnU-Net has most tensors under a second name; missing are those alone.
    missing, unexpected = twin.load_state_dict(to_state_dict(cfg, variables), strict=False)
    wrong = [name for name in missing if not nnunet_names.is_duplicate(name)] + unexpected
    if wrong:
        raise ValueError(f"the networks differ in {wrong}")
    return twin.to(memory_format=LAYOUT)


def to_state_dict(cfg: Config, variables: Variables) -> dict[str, torch.Tensor]:
    """Our parameters under the twin's names and in PyTorch's layouts."""
    published = nnunet_names.names(plan_of(cfg.model), version=2)

    def name_of(module: ModulePath) -> str:
        stage = module[1]
        if not stage.startswith("unit"):
            return published(module)
        return f"units.{stage.removeprefix('unit')}.{('conv', 'norm').index(module[2])}"

    exported = torch_weights.export({"params": variables["params"]}, name_of)
    # What changes the layout of transposed convolutions changes it back.
    tensors = nnunet_names.without_duplicates(exported)
    return {name: torch.tensor(np.ascontiguousarray(t)) for name, t in tensors.items()}


def loss(cfg: LossConfig, outputs: list[torch.Tensor], label: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and Tversky loss (Eq. 3, plus 1) of every resolution with its weight."""
    total = torch.zeros((), device=label.device)
    for weight, logits in zip(resolution_weights(len(outputs)), outputs, strict=True):
        if weight:
            factors = [a // b for a, b in zip(label.shape[1:], logits.shape[2:], strict=True)]
            here = label[:, *(slice(f // 2, None, f) for f in factors)]
            total = total + weight * (F.cross_entropy(logits, here) + _tversky(cfg, logits, here))
    return total


def _tversky(cfg: LossConfig, logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Mean over examples of the only class besides the background."""
    probs, truth = torch.softmax(logits, dim=1)[:, 1], (label == 1).float()
    both, space = (probs * truth).sum((1, 2, 3)), (1, 2, 3)
    false_positives, false_negatives = probs.sum(space) - both, truth.sum(space) - both
    false = cfg.false_positives * false_positives + cfg.false_negatives * false_negatives
    return (1 - (2 * both + cfg.smooth) / (2 * both + false + cfg.smooth)).mean()


def twin(
    cfg: Config,
    variables: Variables,
    image: np.ndarray,
    attention: np.ndarray,
    label: np.ndarray,
) -> Twin:
    """What `torch_bench` times."""
    optim = cfg.optim
    return Twin(
        make=lambda: build(cfg, variables),
        inputs=[image, attention],
        truth=torch.tensor(label).long(),
        logits=lambda outputs: outputs[0],
        loss=partial(loss, cfg.loss),
        optimizer=lambda network: torch.optim.SGD(
            network.parameters(),
            lr=optim.learning_rate,
            momentum=optim.momentum,
            weight_decay=optim.weight_decay,
            nesterov=True,
        ),
        clip=lambda network: nn.utils.clip_grad_norm_(network.parameters(), optim.clip_norm),
    )
