"""A model folder of nnU-Net in, label maps on the grids of the images out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from core.errors import InputError
from core.infer.sliding import Apply, Predict, predictor
from core.nn import nnunet_names, torch_weights
from core.nn.unet import Heads, UNet
from core.nnunet import plans_v1, plans_v2, torch_file
from core.nnunet.plans import Plans, understood
from core.nnunet.prepare import prepare, restore
from core.nnunet.unpickle import read_pickle
from core.types import Variables
from core.volume import Volume

CHECKPOINTS = {
    1: ("model_final_checkpoint.model", "model_best.model"),
    2: ("checkpoint_final.pth", "checkpoint_best.pth"),
}
"""Of a fold, the one that is taken first."""
WEIGHTS = {1: "state_dict", 2: "network_weights"}
OUTSIDE = 0.0
"""What an image smaller than a window is padded with, after normalization."""


@dataclass(frozen=True)
class NnUNet:
    """A trained network.

    Args:
      plans: what it wants and gives; `plans.labels` tells what the ids of its label maps mean.
      folds: variables of each fold that is asked.
      predict: variables and a prepared image → softmax of its windows' mean.
    """

    plans: Plans
    folds: tuple[Variables, ...]
    predict: Predict


class _Trained(NamedTuple):
    """A fold's checkpoint, and what stands beside the weights."""

    path: Path
    content: Any
    plans: Plans
    mirrored: tuple[int, ...]


def load(folder: Path, folds: Sequence[int | str] | None = None, *, batch: int = 1) -> NnUNet:
    """Network of a model folder, as nnU-Net 1 or 2 leaves it.

    Args:
      folder: `TRAINER__PLANS__CONFIGURATION` of version 2, with plans.json, dataset.json and
        fold_0, …; or the one of version 1, with plans.pkl and fold_0, ….
      folds: to average, 0 to 4 or "all"; by default all numbered ones that are there.
      batch: windows that the network takes at once.

    Raises:
      InputError: a file is missing or damaged, or the model is none that can be run.
    """
    version = _version(folder)
    trained = [_read(path, version) for path in _checkpoints(folder, version, folds)]
    plans = trained[0].plans
    apply, template = network_of(plans)
    predict = predictor(
        apply,
        window=plans.patch,
        # An odd axis has no half; nnU-Net then strides half a voxel further now and then.
        stride=tuple(max(1, size // 2) for size in plans.patch),  # type: ignore[arg-type]
        batch=batch,
        num_classes=len(plans.labels),
        combine="logits" if version == 2 else "average",
        importance="gaussian",
        even=True,
        mirrored=trained[0].mirrored,
    )
    return NnUNet(plans, tuple(_variables(fold, template) for fold in trained), predict)


def segment(network: NnUNet, images: Sequence[Volume]) -> Volume:
    """Label map of a case, on the grid and in the order of axes of its images.

    Args:
      network: of `load`.
      images: its channels in order, on one grid, as `core.io.nifti.read` gives them.

    Returns:
      Ids of `network.plans.labels`, uint8.

    Raises:
      InputError: another number of images than the network has channels, or of different grids.
    """
    case = prepare(network.plans, images)
    return restore(network.plans, _scores(network, case.image), case, images[0])


def _scores(network: NnUNet, image: np.ndarray) -> np.ndarray:
    """Sum over the folds of logits (version 2) or probabilities (version 1)."""
    total = _scores_of(network, network.folds[0], image)
    for variables in network.folds[1:]:
        total += _scores_of(network, variables, image)
    return total


def _scores_of(network: NnUNet, variables: Variables, image: np.ndarray) -> np.ndarray:
    scores = network.predict(variables, image, fill=OUTSIDE)
    if network.plans.version == 2:
        # Logits but for a number that all classes of a voxel share, which orders no classes.
        np.maximum(scores, np.finfo(np.float32).tiny, out=scores)
        np.log(scores, out=scores)
    return scores


def _version(folder: Path) -> int:
    for version, name in {2: "plans.json", 1: "plans.pkl"}.items():
        if (folder / name).is_file():
            return version
    raise InputError(
        "no model of nnU-Net: it has neither plans.json nor plans.pkl",
        path=folder,
        hint="give the folder that holds fold_0",
    )


def _checkpoints(folder: Path, version: int, folds: Sequence[int | str] | None) -> list[Path]:
    """One file of each fold."""
    if folds:
        return [_checkpoint(folder, version, fold) for fold in folds]
    numbers = [re.fullmatch(r"fold_(\d+)", path.name) for path in sorted(folder.iterdir())]
    there = [m[1] for m in numbers if m and _files(folder / m[0], version)]
    return [_checkpoint(folder, version, fold) for fold in there or ["all"]]


def _checkpoint(folder: Path, version: int, fold: int | str) -> Path:
    inside = folder / ("all" if version == 1 and fold == "all" else f"fold_{fold}")
    if files := _files(inside, version):
        return files[0]
    names = " nor ".join(CHECKPOINTS[version])
    raise InputError(f"has neither {names}", path=inside, hint="is this fold trained?")


def _files(fold: Path, version: int) -> list[Path]:
    return [fold / name for name in CHECKPOINTS[version] if (fold / name).is_file()]


def _read(path: Path, version: int) -> _Trained:
    content = torch_file.read(path)
    if version == 1:
        beside = path.with_name(f"{path.name}.pkl")
        info = read_pickle(beside)
        plans = plans_v1.read(info, beside)
        return _Trained(path, content, plans, plans_v1.mirrored(info))
    with understood(path):
        mirrored = tuple(content.get("inference_allowed_mirroring_axes") or ())
        # Its name is also the end of the folder's: TRAINER__PLANS__CONFIGURATION.
        by_folder = path.parents[1].name.rpartition("__")[2]
        configuration = content.get("init_args", {}).get("configuration", by_folder)
    return _Trained(path, content, plans_v2.read(path.parents[1], configuration), mirrored)


def network_of(plans: Plans) -> tuple[Apply, Variables]:
    """The network as a function of its variables, and their shapes."""
    network = UNet(plans.network)
    heads = Heads(len(plans.labels), use_bias=plans.version == 2)
    key = jax.random.key(0)
    image = jax.ShapeDtypeStruct((1, *plans.patch, len(plans.channels)), jnp.float32)
    features, unet = jax.eval_shape(network.init_with_output, key, image)
    of_heads = jax.eval_shape(heads.init, key, features.decoder)

    def apply(variables: Variables, windows: jax.Array) -> jax.Array:
        unet, of_heads = ({"params": variables["params"][name]} for name in ("unet", "heads"))
        finest = network.apply(unet, windows).decoder[:1]  # type: ignore[union-attr]
        return heads.apply(of_heads, finest)[0]  # type: ignore[index]

    return apply, {"params": {"unet": unet["params"], "heads": of_heads["params"]}}


def _variables(fold: _Trained, template: Variables) -> Variables:
    with understood(fold.path):
        stored = fold.content[WEIGHTS[fold.plans.version]]
        wanted = {n: t for n, t in stored.items() if not nnunet_names.is_duplicate(n)}
    tensors = nnunet_names.without_duplicates(torch_file.arrays(wanted, fold.path))
    names = nnunet_names.names(fold.plans.network, fold.plans.version)
    return jax.device_put(torch_weights.fill(template, tensors, names, path=fold.path))
