"""Starting a network from another run's parameters, and the run folder's word about it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax

from core import config, json_io
from core.errors import InputError
from core.infer.load import load_runs
from core.train.checkpoint import CHECKPOINTS, checkpoint_steps, restore_model
from core.train.run_folder import METRICS, PARTS, Division, weights_folder
from core.types import Params
from lnmet.config import Axes, Config
from lnmet.identification.config import IdentificationConfig
from lnmet.labels import CLASSES
from lnmet.recipes import config_class

START = "start.json"
"""Of a run folder: what its parameters were before the first step."""


class Start(NamedTuple):
    """Run whose parameters another one starts from.

    Args:
      path: its folder.
      step: of its parameters.
      fingerprint: of its config.
      images: digest of every image that it saw → "train", "val" or "test".
      patients: likewise of every patient.
    """

    path: str
    step: int
    fingerprint: str
    images: Mapping[str, str]
    patients: Mapping[str, str]

    def note(self) -> dict[str, Any]:
        """Its entry in the manifest."""
        return {"path": self.path, "step": self.step, "fingerprint": self.fingerprint}


def start_of(
    workdir: Path, weights: Path | None, cfg: Config | IdentificationConfig
) -> Start | None:
    """Where a run starts, kept in its folder: a run that goes on started where it did.

    Args:
      workdir: RUN.
      weights: run folder that the user names; None, none, or that of the run that goes on.
      cfg: config of the new run; one that identifies nodes starts from one that segments them.

    Raises:
      InputError: no finished run, one of another network, or another one than this run, which goes
        on, was started from.
    """
    path = workdir / START
    if not (workdir / METRICS).exists():
        start = None if weights is None else _start(weights, cfg)
        if jax.process_index() == 0:
            path.unlink(missing_ok=True)
            if start is not None:
                json_io.write_json(path, start._asdict())
        return start
    start = Start(**json_io.read_json(path)) if path.is_file() else None
    if weights is not None and (start is None or str(weights.resolve()) != start.path):
        began = f"from step {start.step} of {start.path}" if start else "with random parameters"
        raise InputError(
            f"was started {began}, not from {weights}",
            path=workdir,
            hint="leave --weights out to go on, or start a new run",
        )
    return start


def starting_params(workdir: Path, start: Start | None) -> Params | None:
    """Parameters to start from; None where they are drawn, or a checkpoint has others since."""
    if start is None or checkpoint_steps(workdir / CHECKPOINTS):
        return None
    return restore_model(weights_folder(Path(start.path)))[0]


def with_ancestor(division: Division, start: Start | None) -> Division:
    """Division of a run, to which what its starting run learned from is learned from too."""
    if start is None:
        return division

    def later(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
        learned = {name: part for name, part in theirs.items() if part != PARTS[0]}
        both = {n: max(learned[n], ours[n], key=PARTS.index) for n in learned.keys() & ours.keys()}
        return {**learned, **ours, **both}

    return division._replace(
        images=later(division.images, start.images),
        patients=later(division.patients, start.patients),
    )


def _start(path: Path, cfg: Config | IdentificationConfig) -> Start:
    if config_class(path) is not Config:
        raise InputError("segments nothing", path=path, hint="give a run of a segmentation recipe")
    (run,) = load_runs(Config, [path], allow_unfinished=False)
    wrong = _other_network(run.cfg, cfg) if isinstance(cfg, Config) else _other_unet(run.cfg, cfg)
    if wrong:
        raise InputError(
            f"is of another network: {', '.join(wrong)}",
            path=path,
            hint="give a run whose network is the recipe's",
        )
    return Start(
        str(path.resolve()),
        run.step,
        config.fingerprint(run.cfg),
        run.division.images,
        run.division.patients,
    )


def _other_network(theirs: Config, ours: Config) -> list[str]:
    """How what shapes the parameters differs; phases may differ, but not their number."""
    networks = (replace(cfg.model, dtype=ours.model.dtype) for cfg in (theirs, ours))
    wrong = _differences(*networks) + _other_phases(theirs, ours)
    numbers = [len(CLASSES[cfg.data.target]) for cfg in (theirs, ours)]
    if numbers[0] != numbers[1]:
        wrong.append(f"{numbers[0]} classes there and {numbers[1]} here")
    return wrong


@dataclass(frozen=True)
class _UNet:
    """What shapes the parameters of a U-Net."""

    features: tuple[int, ...]
    strides: tuple[Axes, ...]


def _other_unet(theirs: Config, ours: IdentificationConfig) -> list[str]:
    """How the U-Nets differ, whatever their heads are."""
    wrong = _differences(*(_UNet(cfg.model.features, cfg.model.strides) for cfg in (theirs, ours)))
    if theirs.data.target != "nodes":
        wrong.append(f"segments {theirs.data.target}, not nodes")
    return wrong + _other_phases(theirs, ours)


def _differences(theirs: Any, ours: Any) -> list[str]:
    return [f"{line.replace(' → ', ' there and ')} here" for line in config.diff(theirs, ours)]


def _other_phases(
    theirs: Config | IdentificationConfig, ours: Config | IdentificationConfig
) -> list[str]:
    numbers = [len(cfg.data.phases) for cfg in (theirs, ours)]
    is_same = numbers[0] == numbers[1]
    return [] if is_same else [f"{numbers[0]} phases there and {numbers[1]} here"]
