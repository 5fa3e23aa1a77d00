"""The networks that tell the status, behind pure functions, and pretrained weights for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from core.errors import InputError
from core.nn import torch_weights
from core.types import Key, ModelState, Params, Variables
from lnmet.model.status_network import STEM_STRIDE, TRUNK, Network
from lnmet.status.config import ModelConfig, Part

_STEM = "conv1.weight"
_HEAD = "fc."


def init(cfg: ModelConfig, key: Key, shape: tuple[int, ...]) -> Variables:
    """Draw parameters and fresh batch-norm statistics.

    Args:
      cfg: the network.
      key: used once.
      shape: of a batch of images, (n, h, w, 3) or (n, d, h, w, 3); traced, not computed on.

    Returns:
      {"params": …, "batch_stats": …}.
    """
    like = [jax.ShapeDtypeStruct(s, jnp.float32) for s in (shape, (*shape[:-1], 1), shape[:1])]
    return Network(cfg).lazy_init(key, *like, train=True)


def apply(
    cfg: ModelConfig,
    params: Params,
    model_state: ModelState,
    image: Float[Array, "n *s c"],
    mask: Float[Array, "n *s 1"],
    volume_mm3: Float[Array, " n"],
    *,
    train: bool = False,
) -> tuple[Float[Array, "n 2"], ModelState]:
    """Logits of a batch of pictures or boxes, and the batch-norm statistics after it.

    Args:
      cfg: the network.
      params: as `init` gives them.
      model_state: {"batch_stats": …}.
      image: normalized as ImageNet's pictures, (n, h, w, 3), or for the 3D network (n, d, h, w, 3).
      mask: 1 in the tumor, else 0.
      volume_mm3: of the patient's largest metastatic node, 0 without one; only a network with
        `nodes` looks at it.
      train: use batch statistics and move the running ones, those of frozen parts, too.

    Returns:
      Float32 logits, class 1 is metastasis-positive; and the model state (unchanged in evaluation).

    Raises:
      ValueError: no batch of images of the network's dimensions.
    """
    variables, network = {"params": params, **model_state}, Network(cfg)
    result: Any = network.apply(
        variables, image, mask, volume_mm3, train=train, mutable=train and list(model_state)
    )
    return result if train else (result, model_state)


def load_pretrained(
    cfg: ModelConfig, variables: Mapping[str, Any], path: str | Path
) -> dict[str, Any]:
    """Variables whose ResNet has the weights of a file; its classes are left out.

    Args:
      cfg: the network.
      variables: of `init`.
      path: ResNet-18 of ImageNet as torchvision names it, or for the 3D network 3D ResNet-18
        (`r3d18_KM_200ep.pth`), in a file of `torch_weights.read`.

    Raises:
      InputError: an unreadable file, one for the other dimension, or tensors missing, left over
        or of another shape.
    """
    tensors = torch_weights.unwrapped(torch_weights.read(path), lambda inner: _STEM in inner)
    axes = len(STEM_STRIDE[cfg.network])
    if _STEM in tensors and tensors[_STEM].ndim != axes + 2:
        raise InputError(
            f"{cfg.network} has {axes}D kernels; {_STEM} has the shape {tensors[_STEM].shape}",
            path=path,
            hint="resnet2d takes torchvision's ResNet-18, resnet3d takes r3d18_KM_200ep.pth",
        )
    tensors = {name: t for name, t in tensors.items() if not name.startswith(_HEAD)}
    trunk = {collection: tree[TRUNK] for collection, tree in variables.items()}
    loaded = torch_weights.fill(trunk, tensors, torch_weights.torchvision_resnet, path=path)
    return {
        collection: {**tree, TRUNK: loaded[collection]} for collection, tree in variables.items()
    }


def frozen_parts(params: Params, frozen: Sequence[Part]) -> dict[str, Any]:
    """Tree of whether each parameter belongs to a frozen part of the ResNet.

    The optimizer leaves these parameters as they are. Their norms go on as PyTorch's do: with the
    statistics of the batch, moving the running ones. The side branch is never frozen.
    """

    def is_frozen(path: tuple[Any, ...], _: Any) -> bool:
        top, *module = (entry.key for entry in path[:-1])
        return top == TRUNK and _part_of(tuple(module)) in frozen

    return jax.tree_util.tree_map_with_path(is_frozen, dict(params))


def _part_of(module: torch_weights.ModulePath) -> str:
    """("layer1_0", "conv2", "norm") → "layer1"."""
    return torch_weights.torchvision_resnet(module).split(".")[0]
