"""Weights from elsewhere: a ResNet trained on ImageNet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.nn import torch_weights
from core.nn.torch_weights import torchvision_resnet

HEAD = "fc."
STEM = "conv1.weight"


def load_resnet(variables: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Variables of a ResNet with the trunk of a file.

    A slice is one channel where ImageNet has three: the stem's kernels are summed over them, which
    is what three equal channels would give. The 1000 classes are left out, our two keep their
    start. ImageNet's norms were trained with eps 1e-5: `norm_eps` is not in a file, and the recipe
    says which is used.

    Args:
      variables: of `fee.model.init`.
      path: ResNet-18 or -34 as torchvision names it; `.safetensors`, `.pth`, `.pt` or `.bin`.

    Returns:
      {"params": …, "batch_stats": …}.

    Raises:
      InputError: a U-Net, an unreadable file, or tensors missing, left over or of another shape.
    """
    if "trunk" not in variables["params"]:
        raise InputError("weights of ImageNet fit a ResNet only, not the U-Net", path=path)
    tensors = torch_weights.read(path)
    tensors = {name: t for name, t in tensors.items() if not name.startswith(HEAD)}
    if STEM in tensors and tensors[STEM].ndim == 4:
        tensors[STEM] = tensors[STEM].sum(axis=1, keepdims=True)
    trunk = {collection: tree["trunk"] for collection, tree in variables.items()}
    loaded = torch_weights.fill(trunk, tensors, torchvision_resnet, path=path)
    return {
        collection: {**tree, "trunk": loaded[collection]} for collection, tree in variables.items()
    }
