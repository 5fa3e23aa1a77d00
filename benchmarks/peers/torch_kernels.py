"""The kernels in PyTorch, channels last, over the same arrays."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.torch_layout import DEVICE, NAME, from_kernel, kernel, to_input, wait

__all__ = ["NAME", "routine", "twins"]

FUNCTIONS = {
    ("conv", 3): F.conv3d,
    ("conv", 2): F.conv2d,
    ("conv_transpose", 3): lambda x, k, stride=2: F.conv_transpose3d(
        x, k, stride=stride, padding=1 if k.shape[-1] == 4 else 0
    ),
    ("max_pool", 3): lambda x, window: F.max_pool3d(x, window),
    ("max_pool", 2): lambda x, window, **options: F.max_pool2d(x, window, **options),
}
"""By name and number of spatial axes; their options have our names."""


class Twin(NamedTuple):
    """What is timed, and what makes arrays in our layout of its result."""

    run: Callable[[], list[torch.Tensor]]
    arrays: Callable[[list[torch.Tensor]], list[np.ndarray]]


def twins(
    name: str,
    args: Sequence[np.ndarray],
    options: dict[str, Any],
    grad: np.ndarray,
    wanted: int,
) -> dict[str, Twin]:
    """`value` and `gradients` of a kernel."""
    transposed = name == "conv_transpose"
    tensors = [to_input(args[0]), *(kernel(a, transposed=transposed) for a in args[1:])]
    tensors = [tensor.to(DEVICE) for tensor in tensors]
    for tensor in tensors[wanted:]:
        tensor.requires_grad_()
    out_grad = to_input(grad).to(DEVICE)
    function = partial(FUNCTIONS[name, args[0].ndim - 2], **options)
    # The graph is kept, so that only the backward pass is timed.
    out = function(*tensors)

    def value() -> list[torch.Tensor]:
        with torch.inference_mode():
            return wait([function(*tensors)])

    def gradients() -> list[torch.Tensor]:
        return wait(list(torch.autograd.grad(out, tensors[wanted:], out_grad, retain_graph=True)))

    def arrays(of: list[torch.Tensor], *, num_images: int) -> list[np.ndarray]:
        images = [tensor.movedim(1, -1).cpu().numpy() for tensor in of[:num_images]]
        return images + [from_kernel(t, transposed=transposed) for t in of[num_images:]]

    return {
        "value": Twin(value, partial(arrays, num_images=1)),
        "gradients": Twin(gradients, partial(arrays, num_images=1 - wanted)),
    }


def routine(name: str, *args: Any) -> Callable[[], np.ndarray] | None:
    """What runs a routine of ours once, from classes first; None for others."""
    if name != "labels_back":
        return None
    logits, shape = args
    classes = torch.from_numpy(np.ascontiguousarray(np.moveaxis(logits, -1, 0)))[None]

    def labels() -> np.ndarray:
        full = F.interpolate(classes, size=shape, mode="trilinear", align_corners=False)
        return full[0].argmax(dim=0).to(torch.uint8).numpy()

    return labels
