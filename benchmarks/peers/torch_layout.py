"""Arrays and kernels between our layout and PyTorch's."""

import numpy as np
import torch

NAME = f"PyTorch {torch.__version__}, channels last, {torch.get_num_threads()} threads"
LAYOUT = torch.channels_last_3d


def to_input(array: np.ndarray) -> torch.Tensor:
    """(n, d, h, w, c) or (n, h, w, c) array as a channels-last tensor (n, c, …)."""
    layout = LAYOUT if array.ndim == 5 else torch.channels_last
    return torch.tensor(array).movedim(-1, 1).contiguous(memory_format=layout)


def kernel(array: np.ndarray, *, transposed: bool) -> torch.Tensor:
    """(d, h, w, i, o) as (o, i, d, h, w); transposed: mirrored, (i, o, d, h, w).

    PyTorch's transposed convolution is the gradient of a correlation, ours is a correlation.
    """
    array = (
        array[::-1, ::-1, ::-1].transpose(3, 4, 0, 1, 2)
        if transposed
        else array.transpose(4, 3, 0, 1, 2)
    )
    return torch.tensor(np.ascontiguousarray(array)).contiguous(memory_format=LAYOUT)


def from_kernel(tensor: torch.Tensor, *, transposed: bool) -> np.ndarray:
    """Inverse of `kernel`, as a view."""
    array = tensor.detach().numpy()
    if transposed:
        return array.transpose(2, 3, 4, 0, 1)[::-1, ::-1, ::-1]
    return array.transpose(2, 3, 4, 1, 0)
