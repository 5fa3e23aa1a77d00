"""A network of PyTorch's to time: its forward pass and its training step over fixed tensors."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from benchmarks.peers.torch_layout import DEVICE, PLACE, to_input, wait

Tensors = Sequence[torch.Tensor]


class Form(NamedTuple):
    """How PyTorch is asked to compute.

    Args:
      name: as its users say.
      channels_last: layout of images and kernels.
      half: multiply in bfloat16 (AMP).
      compiled: by `torch.compile`.
    """

    name: str
    channels_last: bool = True
    half: bool = False
    compiled: bool = False

    @property
    def peer(self) -> str:
        """As rows name it."""
        return f"PyTorch {torch.__version__}, {self.name}, {PLACE}"


FORMS = {
    ("cpu", "float32"): [Form("channels last")],
    ("cuda", "float32"): [Form("eager", channels_last=False), Form("channels last")],
    ("cuda", "bfloat16"): [
        Form("channels last, AMP", half=True),
        Form("channels last, AMP, compiled", half=True, compiled=True),
    ],
}
"""By device and type; the plain form of two cores is slower than channels last."""


def forms(dtype: str) -> list[Form]:
    """Those that a network of ours, computing in `dtype`, is compared with."""
    return FORMS.get((DEVICE, dtype), [])


class Twin(NamedTuple):
    """What a paper's peer hands over.

    Args:
      make: a network with our weights; called twice, since training moves them.
      inputs: arrays (n, …, c) that it takes.
      truth: what its loss compares with.
      logits: (n, c, …) in evaluation, of the network's outputs.
      loss: of the outputs in training, and the truth.
      optimizer: of the network.
      clip: change gradients before an update.
    """

    make: Callable[[], nn.Module]
    inputs: Sequence[np.ndarray]
    truth: torch.Tensor
    logits: Callable[[Any], torch.Tensor]
    loss: Callable[[Any, torch.Tensor], torch.Tensor]
    optimizer: Callable[[nn.Module], torch.optim.Optimizer]
    clip: Callable[[nn.Module], Any] = lambda network: None


class Bench:
    """A twin in one form."""

    def __init__(self, twin: Twin, form: Form) -> None:
        self.twin, self.form = twin, form
        self.fixed, self.moving = self._placed().eval(), self._placed().train()
        # Of the parameters themselves, whatever is compiled around them.
        self.optimizer = twin.optimizer(self.moving)
        self.inputs = [to_input(array).to(DEVICE) for array in twin.inputs]
        if not form.channels_last:
            self.inputs = [tensor.contiguous() for tensor in self.inputs]
        self.truth = twin.truth.to(DEVICE)
        wrap = torch.compile if form.compiled else lambda network: network
        self._fixed, self._moving = wrap(self.fixed), wrap(self.moving)

    def _placed(self) -> nn.Module:
        network = self.twin.make().to(DEVICE)
        if self.form.channels_last:
            return network
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.data = tensor.data.contiguous()
        return network

    def forward(self) -> torch.Tensor:
        """Logits in evaluation (n, c, …)."""
        with torch.inference_mode(), self._precision():
            return wait(self.twin.logits(self._fixed(*self.inputs)))

    def logits(self) -> np.ndarray:
        """The same on the host, channels last."""
        return self.forward().float().movedim(1, -1).cpu().numpy()

    def step(self) -> float:
        """Loss, forward and backward, and one update."""
        self.optimizer.zero_grad(set_to_none=True)
        with self._precision():
            value = self.twin.loss(self._moving(*self.inputs), self.truth)
        value.backward()
        self.twin.clip(self.moving)
        self.optimizer.step()
        return wait(float(value.detach()))

    def _precision(self) -> torch.autocast:
        return torch.autocast(DEVICE, torch.bfloat16, enabled=self.form.half)
