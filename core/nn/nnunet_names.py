"""Where nnU-Net's checkpoints keep the weights of `core.nn.unet`, versions 1.7 and 2."""

import re
from collections.abc import Callable, Mapping

import numpy as np

from core.nn.torch_weights import ModulePath, Tensors
from core.nn.unet import UNetPlan

_DUPLICATE = re.compile(r"\.all_modules\.|^decoder\.encoder\.")
"""Second names of the same tensors in checkpoints of version 2."""
_TRANSPOSED = re.compile(r"^(tu|decoder\.transpconvs)\.\d+\.weight$")


def without_duplicates(tensors: Mapping[str, np.ndarray]) -> Tensors:
    """Each tensor once, and kernels of transposed convolutions in the layout of the others.

    PyTorch has those as (in, out, …) of the strided convolution that they transpose, so mirrored.
    """
    return {
        name: np.flip(np.swapaxes(t, 0, 1), (2, 3, 4)) if _TRANSPOSED.match(name) else t
        for name, t in tensors.items()
        if not is_duplicate(name)
    }


def is_duplicate(name: str) -> bool:
    """Whether a checkpoint has the tensor of this name under another name too."""
    return _DUPLICATE.search(name) is not None


def version_of(tensors: Mapping[str, np.ndarray]) -> int:
    """1 or 2, by the names in a checkpoint."""
    return 1 if any(name.startswith("conv_blocks_context.") for name in tensors) else 2


def names(plan: UNetPlan, version: int) -> Callable[[ModulePath], str]:
    """Name in a checkpoint of a module of ("unet", …) or ("heads", …).

    nnU-Net counts the stages of the decoder from the lowest resolution, we from the highest.
    """
    return {1: _version_1, 2: _version_2}[version](plan)


def _version_1(plan: UNetPlan) -> Callable[[ModulePath], str]:
    num = len(plan.features)

    def name(module: ModulePath) -> str:
        _, stage, *rest = module
        kind, s = _split(stage)
        up = num - 2 - s
        if kind == "head":
            return f"seg_outputs.{up}"
        if kind == "enlarge":
            return f"tu.{up}"
        unit, layer = rest
        i, layer = _split(unit)[1], {"conv": "conv", "norm": "instnorm"}[layer]
        if kind == "down" and s < num - 1:
            return f"conv_blocks_context.{s}.blocks.{i}.{layer}"
        stage, units = {
            "up": (f"conv_blocks_localization.{up}", plan.decoder_units),
            "down": (f"conv_blocks_context.{s}", plan.encoder_units),
        }[kind]
        # All convolutions but the last are one module, the last is another.
        part, block = (0, i) if i < units[s] - 1 else (1, 0)
        return f"{stage}.{part}.blocks.{block}.{layer}"

    return name


def _version_2(plan: UNetPlan) -> Callable[[ModulePath], str]:
    num = len(plan.features)

    def name(module: ModulePath) -> str:
        _, stage, *rest = module
        if stage == "stem":
            return f"encoder.stem.convs.0.{rest[0]}"
        kind, s = _split(stage)
        up = num - 2 - s
        if kind == "head":
            return f"decoder.seg_layers.{up}"
        if kind == "enlarge":
            return f"decoder.transpconvs.{up}"
        unit, layer = rest
        if kind == "up":
            return f"decoder.stages.{up}.convs.{_split(unit)[1]}.{layer}"
        if plan.encoder == "plain":
            return f"encoder.stages.{s}.0.convs.{_split(unit)[1]}.{layer}"
        block, part = unit.split("_")
        b = _split(block)[1]
        if part == "shortcut":
            # Behind the pooling, where there is one.
            has_pooling = b == 0 and max(plan.strides[s]) > 1
            part = f"skip.{int(has_pooling)}"
        return f"encoder.stages.{s}.blocks.{b}.{part}.{layer}"

    return name


def _split(name: str) -> tuple[str, int]:
    """("up", 3) of "up3"."""
    kind = name.rstrip("0123456789")
    return kind, int(name[len(kind) :])
