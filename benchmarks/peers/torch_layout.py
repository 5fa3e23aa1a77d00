"""Arrays and kernels between our layout and PyTorch's, and the device that it computes on."""

from typing import TypeVar

import numpy as np
import torch

T = TypeVar("T")

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PLACE = DEVICE if DEVICE != "cpu" else f"{torch.get_num_threads()} threads"
NAME = f"PyTorch {torch.__version__}, channels last, {PLACE}"
LAYOUT = torch.channels_last_3d


def wait(result: T) -> T:
    """What was computed, when the device is done with it."""
    if DEVICE != "cpu":
        torch.cuda.synchronize()
    return result


def to_input(array: np.ndarray) -> torch.Tensor:
    """(n, d, h, w, c) or (n, h, w, c) array as a channels-last tensor (n, c, …)."""
    layout = LAYOUT if array.ndim == 5 else torch.channels_last
    return torch.tensor(array).movedim(-1, 1).contiguous(memory_format=layout)


def kernel(array: np.ndarray, *, transposed: bool) -> torch.Tensor:
    """(k…, i, o) as (o, i, k…); transposed: mirrored, (i, o, k…).

    PyTorch's transposed convolution is the gradient of a correlation, ours is a correlation.
    """
    space, i, o = tuple(range(array.ndim - 2)), array.ndim - 2, array.ndim - 1
    if transposed:
        array = np.flip(array, space).transpose(i, o, *space)
    else:
        array = array.transpose(o, i, *space)
    layout = LAYOUT if array.ndim == 5 else torch.channels_last
    return torch.tensor(np.ascontiguousarray(array)).contiguous(memory_format=layout)


def from_kernel(tensor: torch.Tensor, *, transposed: bool) -> np.ndarray:
    """Inverse of `kernel`, as a view."""
    array = tensor.detach().cpu().numpy()
    space = tuple(range(2, array.ndim))
    if transposed:
        return np.flip(array.transpose(*space, 0, 1), range(len(space)))
    return array.transpose(*space, 1, 0)
