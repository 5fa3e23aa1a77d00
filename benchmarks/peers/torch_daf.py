"""DAF-Net in PyTorch; the decoder's names are those of the network's authors."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.torch_resnext import ResNet
from eusdaf.config import ModelConfig

STAGES = (1, 2, 3, 4)


class DAF(nn.Module):
    """The layers of `eusdaf.model.daf.DAFNet`."""

    def __init__(self, cfg: ModelConfig) -> None:
        super().__init__()
        self.align_corners = cfg.upsampling == "align_corners"
        self.resnext = ResNet(
            "bottleneck",
            cfg.blocks,
            width=cfg.width,
            groups=cfg.groups,
            group_width=cfg.group_width,
        )
        features = cfg.features
        self.fuse1 = nn.Sequential(*layers(4 * features, features, (3, 3, 1)))
        sizes = (3, 3, 1) if cfg.refine == "conv3_conv3_conv1" else (1,)
        for stage in STAGES:
            num_in = 4 * cfg.width * 2 ** (stage - 1)
            weigh = [*layers(2 * features, features, (3, 3)), nn.Conv2d(features, features, 1)]
            self.add_module(f"down{stage}", nn.Sequential(*layers(num_in, features, (1,))))
            self.add_module(f"attention{stage}", nn.Sequential(*weigh, nn.Softmax(dim=1)))
            self.add_module(f"refine{stage}", nn.Sequential(*layers(2 * features, features, sizes)))
            self.add_module(f"predict{stage}", nn.Conv2d(features, 1, 1))
            self.add_module(f"predict{stage}_2", nn.Conv2d(features, 1, 1))

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Four logit maps of the single-layer features, four of the attentional ones."""
        layer = self.get_submodule
        stages = self.resnext(image)[1:]
        size = stages[0].shape[2:]
        single = [
            self.resize(layer(f"down{k}")(x), size) for k, x in zip(STAGES, stages, strict=True)
        ]
        multi = self.fuse1(torch.cat(single[::-1], dim=1))
        refined = []
        for k, x in zip(STAGES, single, strict=True):
            attention = layer(f"attention{k}")(torch.cat((x, multi), dim=1))
            refined.append(layer(f"refine{k}")(torch.cat((x, attention * multi), dim=1)))
        maps = [layer(f"predict{k}")(x) for k, x in zip(STAGES, single, strict=True)]
        maps += [layer(f"predict{k}_2")(x) for k, x in zip(STAGES, refined, strict=True)]
        return [self.resize(m, image.shape[2:]) for m in maps]

    def resize(self, x: torch.Tensor, size: torch.Size) -> torch.Tensor:
        """Bilinear interpolation."""
        if x.shape[2:] == size:
            return x
        return F.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)


def layers(num_in: int, num_out: int, sizes: tuple[int, ...]) -> list[nn.Module]:
    """Convolution, norm and PReLU for every kernel size, as one flat list."""
    made: list[nn.Module] = []
    for size in sizes:
        made += [nn.Conv2d(num_in, num_out, size, padding=size // 2)]
        made += [nn.BatchNorm2d(num_out), nn.PReLU()]
        num_in = num_out
    return made
