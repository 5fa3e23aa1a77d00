"""The status of an examination, by every network that was given, and one decision."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool

from core.infer.load import Run
from core.train.run_folder import load_config
from lnmet.asking import own_choices
from lnmet.examination import Examined
from lnmet.segmentation import Grids
from lnmet.status.config import StatusConfig
from lnmet.status.infer import StatusSystem, load_system, open_runs
from lnmet.status.methods import METHODS, NEGATIVE, OURS, POSITIVE, UNTOLD, name_of
from lnmet.status.nodes_alone import read_threshold

SECTION = "status"
"""Of the operating choices: "status.threshold" is these networks' infer.threshold."""

Networks = Mapping[str, Sequence[Run[StatusConfig]]]
"""Runs by the name of their network, ours first."""


class Told(NamedTuple):
    """What is said of an examination.

    Args:
      decision: positive, negative or not told.
      score: probability of being positive, of the network that decides; None where none does.
      scores: of every network by name, and the volume of the largest metastatic node in mm³.
      calls: whether each of them calls the patient positive, where it has a threshold.
      note: why networks could not be asked.
    """

    decision: str
    score: float | None
    scores: Mapping[str, float]
    calls: Mapping[str, bool]
    note: str

    def row(self) -> dict[str, Any]:
        """Its columns in results.json."""
        own = {"decision": self.decision, "score": self.score}
        return {**own, "scores": dict(self.scores), "calls": dict(self.calls)}


class Stager(NamedTuple):
    """Networks that tell the status; the first one that can be asked decides.

    Args:
      systems: by name.
      nodes_alone_mm3: volume of the largest metastatic node from which a patient is positive for
        the rule that looks at nodes alone; None, it was not chosen.
      rule: its name, which tells whether the nodes were looked for with attention.
    """

    systems: Mapping[str, StatusSystem]
    nodes_alone_mm3: float | None
    rule: str

    def __call__(self, examined: Examined, largest_positive_mm3: float | None) -> Told:
        """Ask every network.

        Args:
          examined: the examination, with its tumor.
          largest_positive_mm3: volume of the largest metastatic node; None where nobody tells.
        """
        scores: dict[str, float] = {}
        calls: dict[str, bool] = {}
        notes = []
        for name, system in self.systems.items():
            if lack := _lack(system, examined, largest_positive_mm3):
                notes.append(f"{name}: {lack}")
            else:
                scores[name] = _ask(system, examined, largest_positive_mm3 or 0.0)
                calls[name] = system.is_positive(scores[name])
        first = next(iter(scores), None)
        if largest_positive_mm3 is not None:
            scores[self.rule] = largest_positive_mm3
            if self.nodes_alone_mm3 is not None:
                calls[self.rule] = largest_positive_mm3 >= self.nodes_alone_mm3
        if first is None:
            return Told(UNTOLD, None, scores, calls, "; ".join(notes))
        decision = POSITIVE if calls[first] else NEGATIVE
        return Told(decision, scores[first], scores, calls, "; ".join(notes))


def open_networks(paths: Sequence[Path], *, allow_unfinished: bool) -> Networks:
    """Runs of networks that tell the status, several folds of one side by side.

    Raises:
      InputError: a folder that is no finished run, or runs of one network that do not belong
        together.
    """
    by_name: dict[str, list[Path]] = {}
    for path in paths:
        cfg = load_config(StatusConfig, path)
        by_name.setdefault(name_of(cfg.model), []).append(path)
    return {
        name: open_runs(by_name[name], allow_unfinished=allow_unfinished)
        for name in reversed(list(METHODS))
        if name in by_name
    }


def load_stager(networks: Networks, mesh: Mesh, choices: Mapping[str, Any], *, rule: str) -> Stager:
    """Load trained networks.

    Args:
      networks: of `open_networks`.
      mesh: the devices that share a patient's pictures.
      choices: operating choices, of which "status.…" override the configs'.
      rule: name of the rule that looks at nodes alone.
    """
    own = own_choices(choices, SECTION)
    systems = {name: load_system(runs, mesh, own) for name, runs in networks.items()}
    chosen = [read_threshold(run.path) for run in networks.get(OURS, ())]
    known = [threshold for threshold in chosen if threshold is not None]
    return Stager(systems, float(np.mean(known)) if known else None, rule)


def _lack(system: StatusSystem, examined: Examined, largest_positive_mm3: float | None) -> str:
    """Why a network cannot be asked; empty where it can."""
    tumor = examined.segmented.tumor
    if tumor is None or not tumor.any():
        return "no tumor is segmented" if tumor is None else "no tumor was found"
    if not _seen(tumor, system, examined).any():
        return "the tumor is smaller than a voxel of its grid"
    if system.cfg.model.nodes and largest_positive_mm3 is None:
        return "no network tells which nodes are metastatic"
    absent = set(system.phases) - examined.phases.volumes.keys()
    return f"no {min(absent)} phase" if absent else ""


def _ask(system: StatusSystem, examined: Examined, volume_mm3: float) -> float:
    grids = Grids(examined.phases.volumes, system.cfg.prepare)
    image = np.stack([np.rint(grids.image(p)).astype(np.int16) for p in system.phases], axis=-1)
    tumor = examined.segmented.tumor
    assert tumor is not None  # asked only where there is one
    return system(image, _seen(tumor, system, examined), volume_mm3)


def _seen(
    tumor: Bool[np.ndarray, "d h w"], system: StatusSystem, examined: Examined
) -> Bool[np.ndarray, "e i j"]:
    """The tumor as a network sees it."""
    grids = Grids(examined.phases.volumes, system.cfg.prepare)
    return grids.label(tumor.astype(np.uint8)) > 0
