"""A cascade as a file that runs without panjax, by examples/exported_s4c.py."""

from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from core import cli
from core.commands.export import export as export_programs
from core.errors import InputError
from core.infer import ballots, grid, voting
from core.infer.export import Program, sliding_program
from core.infer.load import Run
from s4c.classifier.config import ClassifierConfig
from s4c.config import Config, DecisionConfig, InferConfig
from s4c.networks import asked, open_runs, windows_of
from s4c.recipes import config_class


def export(
    runs: cli.Paths,
    *,
    out: Path,
    allow_unfinished: bool = False,
    choices: Annotated[
        cli.Choices, cli.Overrides(infer=InferConfig, decision=DecisionConfig)
    ] = None,
) -> None:
    """Write a cascade, or a network whose windows vote, as one file that runs without panjax.

    Args:
      runs: trained networks of one contrast phase; the largest patch is the coarse one.
      out: file .npz: the networks for CPU, CUDA and TPU, weights, and the numbers around them.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the coarse run's, "decision.min_tumor_voxels" → voxels.

    Raises:
      InputError: runs that make no cascade, or that need what the file cannot hold.
    """
    for path in runs:
        if config_class(path) is ClassifierConfig:
            raise InputError("is a classifier, and segmentations are exported", path=path)
    by_phase = open_runs(runs, allow_unfinished=allow_unfinished)
    if len(by_phase) > 1:
        raise InputError(
            f"runs of the phases {' and '.join(map(str, by_phase))}", hint="export each by itself"
        )
    (opened,) = by_phase.values()
    cfgs = asked(opened, choices or {})
    _require_plain(cfgs[0], opened[0].path)
    names = [str(cfg.data.patch) for cfg in cfgs]
    about = {
        "window_hu": cfgs[0].prepare.window_hu,
        "phase": cfgs[0].prepare.phase,
        "networks": [
            {"name": name, "window": cfg.data.patch, "stride": cfg.infer.stride}
            for name, cfg in zip(names, cfgs, strict=True)
        ],
        "roi_margin": cfgs[0].infer.roi_margin,
        "decision": vars(cfgs[0].decision),
    }
    programs = {n: _program(c, r) for n, c, r in zip(names, cfgs, opened, strict=True)}
    export_programs(out, programs, about, runs=opened)


def _require_plain(cfg: Config, run: Path) -> None:
    """Refuse what numbers alone do not tell a reader how to repeat."""
    needs = {
        "infer.skip_air": cfg.infer.skip_air,
        "prepare.spacing_mm": cfg.prepare.spacing_mm is not None,
        "decision.voxel_mm": cfg.decision.voxel_mm is not None,
    }
    for name, is_set in needs.items():
        if is_set:
            raise InputError(f"is asked with {name}, which no exported cascade has", path=run)


def _program(cfg: Config, run: Run[Config]) -> Program:
    """(n, d, h, w, 1) of normalised windows → their softmax, or their ballots as whole numbers."""
    params, model_state = run.weights()
    variables: dict[str, Any] = {"params": params, "model_state": model_state}
    windows, batch = windows_of(cfg), cfg.infer.batch
    if cfg.infer.combine == "average":
        return sliding_program(variables, batch=batch, num_channels=1, combine="average", **windows)
    stride = cfg.infer.stride
    overlap = grid.largest_overlap(windows["window"], (stride, stride, stride))
    ask = voting.asking(windows["apply"], windows["num_classes"], ballots.ballot(overlap))
    image = jax.ShapeDtypeStruct((batch, *windows["window"], 1), jnp.float32)
    # Without the last channel, which counts: so does the reader.
    return Program(lambda *args: ask(*args)[..., :-1], variables, [image])
