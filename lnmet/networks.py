"""Trained networks ready to segment: run folders in, one predictor per target out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float, Num

from core.config import overridden
from core.datasets.channels import Phase
from core.errors import InputError
from core.infer.load import Run, load_runs, require_folds_of_one_data_set, require_same
from core.infer.sliding import predictor
from core.preprocess.crop import crop, pad_to
from core.types import ModelState, Params
from lnmet import model
from lnmet.asking import own_choices
from lnmet.config import Axes, Config, Target
from lnmet.identification.config import IdentificationConfig
from lnmet.labels import CLASSES
from lnmet.recipes import AnyConfig, config_class

C = TypeVar("C", bound=AnyConfig)

Predict = Callable[
    [Num[np.ndarray, "d h w c"], Num[np.ndarray, "d h w"] | None], Float[np.ndarray, "d h w k"]
]
"""(HU of the network's phases, attention where it has some) → class probabilities."""


class Segmenter(NamedTuple):
    """Networks of one target; the mean of their probabilities counts."""

    cfg: Config
    predicts: Sequence[Predict]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Channels that it wants, in its order."""
        return self.cfg.data.phases

    def __call__(
        self,
        image: Num[np.ndarray, "d h w c"],
        attention: Num[np.ndarray, "d h w"] | None = None,
    ) -> Float[np.ndarray, "d h w k"]:
        """Class probabilities.

        Args:
          image: HU of `phases` on the grid of the config.
          attention: on that grid; networks without attention do not look at it.
        """
        total = self.predicts[0](image, attention)
        for predict in self.predicts[1:]:
            total += predict(image, attention)
        return total / len(self.predicts)


System = Mapping[Target, Segmenter]


class Runs(NamedTuple):
    """Runs of one system.

    Args:
      segmentation: of the networks that segment, several folds of a target side by side.
      identification: of those that tell which nodes are metastatic.
    """

    segmentation: Sequence[Run[Config]]
    identification: Sequence[Run[IdentificationConfig]]

    @property
    def all(self) -> list[Run]:
        """In the order in which they are asked."""
        return [*self.segmentation, *self.identification]


def open_runs(paths: Sequence[Path], *, allow_unfinished: bool = False) -> Runs:
    """Runs of one system, several folds of a target side by side.

    Raises:
      InputError: a folder that is no finished run, or runs of one target that differ in their grid
        or network, or saw different data sets.
    """

    def of(cls: type[C]) -> list[Run[C]]:
        own = [path for path in paths if config_class(path) is cls]
        return load_runs(cls, own, allow_unfinished=allow_unfinished)

    for path in paths:
        if config_class(path) not in (Config, IdentificationConfig):
            raise InputError(
                "neither segments nor tells metastatic nodes", path=path, hint="leave it out"
            )
    runs = Runs(of(Config), of(IdentificationConfig))
    for of_target in _by_target(runs.all).values():
        require_same(of_target, lambda cfg: cfg.prepare, lambda cfg: f"{cfg.prepare.spacing_mm} mm")
        require_same(of_target, lambda cfg: cfg.model, lambda cfg: f"the network {cfg.model}")
        require_same(of_target, lambda cfg: cfg.data.phases, lambda cfg: f"{cfg.data.phases}")
        require_folds_of_one_data_set(of_target)
    return runs


def load_system(runs: Sequence[Run[Config]], mesh: Mesh, choices: Mapping[str, Any]) -> System:
    """Load trained networks.

    Args:
      runs: of `open_runs`.
      mesh: the devices that share the windows.
      choices: operating choices, of which "infer.…" override the configs'.
    """
    own = own_choices(choices, "infer")
    return {
        target: Segmenter(
            overridden(of_target[0].cfg, own),
            [sliding(overridden(run.cfg, own), *run.weights(), mesh) for run in of_target],
        )
        for target, of_target in _by_target(runs).items()
    }


def _by_target(runs: Sequence[Run[C]]) -> dict[Any, list[Run[C]]]:
    groups: dict[Any, list[Run[C]]] = {}
    for run in runs:
        groups.setdefault(run.cfg.data.target, []).append(run)
    return groups


def stride_of(cfg: Config) -> Axes:
    """Voxels (d, h, w) between windows, at most."""
    depth, height, width = (max(1, round(n * (1 - cfg.infer.overlap))) for n in cfg.data.patch)
    return depth, height, width


def sliding(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """A network as a function from HU to class probabilities.

    Windows are spread evenly, weighted towards their middle and averaged over their mirrorings.
    What lies beyond a small scan is the mean of the foreground, without attention.
    """
    num_channels, window = len(cfg.data.phases), cfg.data.patch
    predict = predictor(
        **windows_of(cfg),
        stride=stride_of(cfg),
        batch=cfg.infer.batch * mesh.size,
        even=True,
        sharding=NamedSharding(mesh, PartitionSpec("data")),
    )
    placed = jax.device_put({"params": params, **model_state}, NamedSharding(mesh, PartitionSpec()))
    outside = np.asarray(model_state[model.INTENSITIES]["mean"])

    def segment(image: np.ndarray, attention: np.ndarray | None) -> np.ndarray:
        channels = [pad_to(image[..., c], window, outside[c])[0] for c in range(num_channels)]
        box = pad_to(image, window, 0)[1]
        if cfg.model.attention:
            if attention is None:
                raise ValueError("the network was trained with attention; got none")
            channels.append(pad_to(attention, window, 0)[0])
        stacked = np.stack(channels, axis=-1).astype(np.float32)
        return crop(predict(placed, stacked, fill=0.0), box)

    return segment


def windows_of(cfg: Config) -> dict[str, Any]:
    """What a network says about windows, whose last channel is attention where it has some."""
    num_channels, num_classes = len(cfg.data.phases), len(CLASSES[cfg.data.target])

    def apply(variables: Mapping[str, Any], windows: jax.Array) -> jax.Array:
        image = model.normalize(variables, windows[..., :num_channels])
        gate = windows[..., num_channels] if cfg.model.attention else None
        return model.apply(cfg.model, variables["params"], image, gate, num_classes=num_classes)[0]

    return {
        "apply": apply,
        "window": cfg.data.patch,
        "num_classes": num_classes,
        "combine": "average",
        "importance": "gaussian",
        "mirrored": (0, 1, 2) if cfg.infer.mirrored else (),
    }
