"""U-Net and Attention U-Net in PyTorch, under the names of `eusdaf.model.unets`."""

import torch
import torch.nn.functional as F
from torch import nn

from eusdaf.config import ModelConfig

STEPS = 5


class Gate(nn.Module):
    """Weighs the pixels of a skip by how it agrees with the decoder."""

    def __init__(self, num_in: int) -> None:
        super().__init__()
        features = num_in // 2
        for name, channels in {"decoded": num_in, "skip": num_in, "psi": features}.items():
            num_out = 1 if name == "psi" else features
            self.add_module(f"{name}_conv", nn.Conv2d(channels, num_out, 1))
            self.add_module(f"{name}_norm", nn.BatchNorm2d(num_out))

    def forward(self, decoded: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """Gate the skip."""
        agreed = self.decoded_norm(self.decoded_conv(decoded))
        agreed = F.relu(agreed + self.skip_norm(self.skip_conv(skip)))
        return skip * torch.sigmoid(self.psi_norm(self.psi_conv(agreed)))


class UNet(nn.Module):
    """Encoder, decoder and skips; with `attention-unet` a gate on every skip."""

    def __init__(self, cfg: ModelConfig, *, num_in: int = 3) -> None:
        super().__init__()
        self.gated = cfg.network == "attention-unet"
        channels = [num_in] + [cfg.width * 2**step for step in range(STEPS)]
        for step in range(1, STEPS + 1):
            self.pair(f"down{step}", channels[step - 1], channels[step])
        for step in range(STEPS - 1, 0, -1):
            self.layer(f"enlarge{step}", channels[step + 1], channels[step])
            self.pair(f"up{step}", channels[step + 1], channels[step])
            if self.gated:
                self.add_module(f"gate{step}", Gate(channels[step]))
        self.score = nn.Conv2d(cfg.width, 1, 1)

    def layer(self, name: str, num_in: int, num_out: int) -> None:
        """Register convolution, norm and ReLU."""
        parts = {"conv": nn.Conv2d(num_in, num_out, 3, padding=1), "norm": nn.BatchNorm2d(num_out)}
        made = nn.Sequential()
        for key, part in (parts | {"relu": nn.ReLU(inplace=True)}).items():
            made.add_module(key, part)
        self.add_module(name, made)

    def pair(self, name: str, num_in: int, num_out: int) -> None:
        """Register two layers."""
        self.layer(f"{name}a", num_in, num_out)
        self.layer(f"{name}b", num_out, num_out)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """One map of logits."""
        layer, skips = self.get_submodule, {}
        for step in range(1, STEPS):
            skips[step] = layer(f"down{step}b")(layer(f"down{step}a")(x))
            x = F.max_pool2d(skips[step], 2)
        x = layer(f"down{STEPS}b")(layer(f"down{STEPS}a")(x))
        for step in range(STEPS - 1, 0, -1):
            x = layer(f"enlarge{step}")(F.interpolate(x, scale_factor=2, mode="nearest"))
            skip = layer(f"gate{step}")(x, skips[step]) if self.gated else skips[step]
            x = layer(f"up{step}b")(layer(f"up{step}a")(torch.cat((skip, x), dim=1)))
        return [self.score(x)]
