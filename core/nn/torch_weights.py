"""Weights that PyTorch networks left in files, brought into our parameter trees. NumPy only.

A tree tells which tensors are wanted, and a function gives the name that PyTorch has for a module
of ours; so nothing is guessed from the order of the tensors in a file.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InputError

Tensors = dict[str, np.ndarray]
ModulePath = tuple[str, ...]

LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "slope": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
    "codewords": "codewords",
    "smoothing": "scale",
}
"""PyTorch's name for each array of a layer."""

NAMES_SHOWN = 4
READERS = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
WRAPPERS = (
    *("state_dict", "model_state_dict", "model_state", "model", "network_weights", "network"),
    *("net", "module", "backbone", "encoder", "weights", "params"),
)
"""Names under which trainings keep the state dict among other things; the first is looked for
first."""


def read(path: str | Path) -> Tensors:
    """Tensors of a state dict in a file, by name.

    A dictionary around it under one of `WRAPPERS`, and the prefix `module.` of a parallel training,
    are taken off; other prefixes are for `unwrapped`. Counters of batch norms are left out.

    Args:
      path: `.safetensors`, or `.pth`, `.pth.tar`, `.pt`, `.bin` or `.ckpt`, for which PyTorch must
        be installed. Only tensors are unpickled, never code.

    Raises:
      InputError: no such file, another format, damaged, or without tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("no such file of weights", path=path)
    if path.suffix not in READERS:
        raise InputError(
            f"weights with the ending {path.suffix!r} cannot be read",
            path=path,
            hint=f"known are {', '.join(READERS)}",
        )
    return _plain(_safetensors(path) if path.suffix == READERS[0] else _pickled(path), path)


def unwrapped(tensors: Tensors, is_known: Callable[[Tensors], bool]) -> Tensors:
    """Tensors without the prefixes that all of them share: "backbone.", "model.", "encoder.", ….

    Args:
      tensors: of a state dict.
      is_known: whether the names are those of the wanted network.

    Returns:
      With as few prefixes taken off as make the names known; as they are, where none does.
    """
    inner = tensors
    while not is_known(inner):
        prefixes = {name.partition(".")[0] for name in inner}
        if len(prefixes) != 1 or not all("." in name for name in inner):
            return tensors
        inner = {name.partition(".")[2]: tensor for name, tensor in inner.items()}
    return inner


def first_names(names: Collection[str]) -> str:
    """Some names and how many more there are, for a line that refuses a file."""
    if not names:
        return "none"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(list(names)[:NAMES_SHOWN]) + more


def fill(
    template: Mapping[str, Any],
    tensors: Tensors,
    name_of: Callable[[ModulePath], str],
    *,
    path: str | Path | None = None,
) -> dict[str, Any]:
    """A tree like `template`, of the tensors.

    Args:
      template: {"params": …, "batch_stats": …}; leaves have the shapes wanted, in our layout.
      tensors: in PyTorch's layout; none may be left over. A prefix that all share is taken off.
      name_of: from the path of a module of ours to its PyTorch name, ("stem", "conv") → "conv1".
      path: the file they came from, named in errors.

    Returns:
      Arrays of float32.

    Raises:
      InputError: tensors missing, left over, or of another shape; names the first few.
    """
    wanted = {keys: _tensor_name(keys, name_of) for keys, _ in _leaves(template)}
    tensors = unwrapped(tensors, lambda inner: not inner.keys().isdisjoint(wanted.values()))
    missing = [name for name in wanted.values() if name not in tensors]
    _refuse("missing", missing, path, found=f"; the file has {first_names(tensors)}")
    _refuse("not part of this network", sorted(set(tensors) - set(wanted.values())), path)
    arrays = {keys: _our_layout(keys[-1], tensors[name]) for keys, name in wanted.items()}
    misfits = [
        f"{wanted[keys]} {tensors[wanted[keys]].shape}"
        for keys, leaf in _leaves(template)
        if arrays[keys].shape != tuple(leaf.shape)
    ]
    _refuse("of another shape than in this network", misfits, path)
    tree: dict[str, Any] = {}
    for keys, array in arrays.items():
        node = tree
        for key in keys[:-1]:
            node = node.setdefault(key, {})
        node[keys[-1]] = array
    return tree


def export(tree: Mapping[str, Any], name_of: Callable[[ModulePath], str]) -> Tensors:
    """Inverse of `fill`: the tensors of a tree, in PyTorch's layout and under its names."""
    tensors = {}
    for keys, leaf in _leaves(tree):
        array = np.asarray(leaf)
        if keys[-1] == "kernel":
            array = np.ascontiguousarray(np.moveaxis(array, (-1, -2), (0, 1)))
        tensors[_tensor_name(keys, name_of)] = array
    return tensors


def torchvision_resnet(module: ModulePath) -> str:
    """Name in torchvision's ResNets of a module of `core.nn.resnet`."""
    if module[0] == "stem":
        return {"conv": "conv1", "norm": "bn1"}[module[1]]
    if module[0] == "fc":
        return "fc"
    block, layer, kind = module
    if layer == "shortcut":
        name = {"conv": "downsample.0", "norm": "downsample.1"}[kind]
    else:
        name = layer if kind == "conv" else layer.replace("conv", "bn")
    return f"{block.replace('_', '.')}.{name}"


def _safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, TypeError, KeyError) as error:
        raise InputError(f"not a safetensors file ({error})", path=path) from error


def _pickled(path: Path) -> Any:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        raise InputError(
            f"reading {path.suffix} needs PyTorch, which is not installed",
            path=path,
            hint="pip install 'panjax[torch]', or save the weights as .safetensors",
        ) from None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and PyTorch each raise their own
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"not a file of PyTorch weights ({first_line})", path=path) from error


def _plain(loaded: Any, path: Path) -> Tensors:
    """The state dict inside what a reader gave, with plain names, in float32."""
    while isinstance(loaded, Mapping):
        inside = (loaded[name] for name in WRAPPERS if isinstance(loaded.get(name), Mapping))
        if (inner := next(inside, None)) is None:
            break
        loaded = inner
    if not isinstance(loaded, Mapping) or not all(hasattr(t, "shape") for t in loaded.values()):
        raise InputError(
            "no state dict of tensors in this file",
            path=path,
            hint="save model.state_dict() of the network alone",
        )
    tensors = {name: t for name, t in loaded.items() if not name.endswith("num_batches_tracked")}
    if not tensors:
        raise InputError("no tensors in this file", path=path)
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): t for name, t in tensors.items()}
    return {name: _float32(t) for name, t in tensors.items()}


def _float32(tensor: Any) -> np.ndarray:
    """Also of PyTorch's half precisions, which NumPy lacks in part."""
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().float().numpy()
    return np.asarray(tensor, np.float32)


def _leaves(tree: Mapping[str, Any], above: ModulePath = ()) -> Iterator[tuple[ModulePath, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _tensor_name(keys: ModulePath, name_of: Callable[[ModulePath], str]) -> str:
    _collection, *module, leaf = keys
    return f"{name_of(tuple(module))}.{LEAVES[leaf]}"


def _our_layout(leaf: str, tensor: np.ndarray) -> np.ndarray:
    """(o, i, k…) → (k…, i, o) for the kernel of a convolution or of a linear layer."""
    if leaf != "kernel" or tensor.ndim < 2:
        return tensor  # of a wrong rank: refused with its shape
    return np.ascontiguousarray(np.moveaxis(tensor, (0, 1), (-1, -2)))


def _refuse(fault: str, names: list[str], path: str | Path | None, *, found: str = "") -> None:
    if names:
        raise InputError(
            f"tensors {fault}: {first_names(names)}{found}",
            path=path,
            hint="are these the weights of another network or width?",
        )
