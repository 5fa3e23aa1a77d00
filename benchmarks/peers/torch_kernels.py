"""The kernels in PyTorch, channels last, over the same arrays."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.peers.torch_layout import NAME, from_kernel, kernel, to_input

__all__ = ["NAME", "routine", "runs"]

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


def runs(
    name: str,
    args: tuple[np.ndarray, ...],
    options: dict[str, Any],
    grad: np.ndarray,
    wanted: int,
) -> dict[str, Callable[[], Any]]:
    """`value` and `gradients` of a kernel, returning arrays in our layout."""
    transposed = name == "conv_transpose"
    tensors = [to_input(args[0]), *(kernel(a, transposed=transposed) for a in args[1:])]
    for tensor in tensors[wanted:]:
        tensor.requires_grad_()
    out_grad = to_input(grad)
    function = partial(FUNCTIONS[name, args[0].ndim - 2], **options)
    # The graph is kept, so that only the backward pass is timed.
    out = function(*tensors)

    def value() -> np.ndarray:
        with torch.inference_mode():
            return function(*tensors).movedim(1, -1).numpy()

    def gradients() -> list[np.ndarray]:
        found = torch.autograd.grad(out, tensors[wanted:], out_grad, retain_graph=True)
        ours = [] if wanted else [found[0].movedim(1, -1).numpy()]
        return ours + [from_kernel(g, transposed=transposed) for g in found[len(ours) :]]

    return {"value": value, "gradients": gradients}


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
