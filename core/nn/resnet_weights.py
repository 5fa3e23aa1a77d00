"""Weights of a ResNet that was trained elsewhere, on ImageNet or inside a DAF checkpoint."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.nn import torch_weights
from core.nn.torch_weights import ModulePath, Tensors, torchvision_resnet

HEADS = ("fc.", "last_linear.", "classifier.", "10.")
"""Prefixes of the ImageNet classifiers behind the trunk; "10." in a flat sequence of layers."""

STEMS = ("conv1.weight", "layer0.0.weight", "0.weight", "features.0.weight")
"""First tensor of a ResNet in each layout."""
DAF = "resnext."
"""Prefix of the encoder in a DAF checkpoint."""
STEM: ModulePath = ("stem", "conv")
IN_SEQUENCE: dict[ModulePath, str] = {
    ("conv1", "conv"): "0.0.0.0",
    ("conv1", "norm"): "0.0.0.1",
    ("conv2", "conv"): "0.0.0.3",
    ("conv2", "norm"): "0.0.0.4",
    ("conv3", "conv"): "0.0.1",
    ("conv3", "norm"): "0.0.2",
    ("shortcut", "conv"): "0.1.0",
    ("shortcut", "norm"): "0.1.1",
}
"""Places inside a block in networks that were converted from the official Torch release."""


def load_trunk(
    variables: Mapping[str, Any], trunk: str, path: str | Path, *, is_gray: bool = False
) -> dict[str, Any]:
    """Variables of a network with the ResNet of a file inside.

    The classes behind it are left out. Norms of ImageNet were trained with eps 1e-5: it is not in a
    file, and the network says which is used.

    Args:
      variables: of the network; all but those of the trunk are kept.
      trunk: name of the ResNet in the network.
      path: of `torch_weights.read`: a ResNet or ResNeXt as torchvision or timm name it, as a
        sequence of layers like the official release of ResNeXt 32x4d, or the encoder inside a DAF
        checkpoint; also under prefixes that all its tensors share.
      is_gray: whether the network has one channel where the file has three; the stem's kernels are
        summed over them, which is what three equal channels would give.

    Returns:
      {"params": …, "batch_stats": …}.

    Raises:
      InputError: no such trunk, an unreadable file, or tensors missing, left over or of another
        shape.
    """
    if any(trunk not in tree for tree in variables.values()):
        raise InputError("weights of a ResNet do not fit a network without one", path=path)
    tensors = _without_heads(torch_weights.read(path))  # those that lie beside a prefixed trunk
    tensors = torch_weights.unwrapped(tensors, lambda inner: _is_resnet(_of_daf(inner)))
    tensors = _without_heads(_of_daf(tensors))
    name_of = trunk_names(tensors, path)
    stem = f"{name_of(STEM)}.weight"
    if is_gray and tensors[stem].ndim == 4:
        tensors[stem] = tensors[stem].sum(axis=1, keepdims=True)
    template = {collection: tree[trunk] for collection, tree in variables.items()}
    loaded = torch_weights.fill(template, tensors, name_of, path=path)
    return {
        collection: {**tree, trunk: loaded[collection]} for collection, tree in variables.items()
    }


def _without_heads(tensors: Tensors) -> Tensors:
    return {name: t for name, t in tensors.items() if not name.startswith(HEADS)}


def _of_daf(tensors: Tensors) -> Tensors:
    """Tensors of the encoder, where they are those of a DAF checkpoint."""
    inside = {n.removeprefix(DAF): t for n, t in tensors.items() if n.startswith(DAF)}
    return inside or tensors


def _is_resnet(names: Collection[str]) -> bool:
    return any(stem in names for stem in STEMS)


def trunk_names(
    tensors: Collection[str], path: str | Path | None = None
) -> Callable[[ModulePath], str]:
    """Names of the modules of a ResNet in the layout that the names of `tensors` tell.

    Raises:
      InputError: a layout that is not known.
    """
    stages = ["layer1.", "layer2.", "layer3.", "layer4."]
    if "conv1.weight" in tensors:
        stem = {"conv": "conv1", "norm": "bn1"}
    elif "layer0.0.weight" in tensors:
        # The first stage stands behind the pooling, which has no weights.
        stem, stages[0] = {"conv": "layer0.0", "norm": "layer0.1"}, "layer1.1."
    elif any(f"{prefix}0.weight" in tensors for prefix in ("", "features.")):
        prefix = "" if "0.weight" in tensors else "features."
        stem = {"conv": f"{prefix}0", "norm": f"{prefix}1"}
        stages = [f"{prefix}{place}." for place in range(4, 8)]
    else:
        raise InputError(
            f"no ResNet: neither {', '.join(STEMS[:-1])} nor {STEMS[-1]} is there; the file has "
            f"{torch_weights.first_names(tensors)}",
            path=path,
        )
    named = any(".conv2." in name for name in tensors)

    def name_of(module: ModulePath) -> str:
        if module[0] == STEM[0]:
            return stem[module[1]]
        stage, number = module[0].removeprefix("layer").split("_")
        within = torchvision_resnet(module).split(".", 2)[2] if named else IN_SEQUENCE[module[1:]]
        return f"{stages[int(stage) - 1]}{number}.{within}"

    return name_of
