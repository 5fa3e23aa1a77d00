"""A cascade as a file that runs without panjax, by examples/exported_s4c.py."""

from pathlib import Path
from typing import Annotated, Any

from core import cli
from core.commands.export import export as export_programs
from core.errors import InputError
from core.infer.export import Program
from core.infer.load import Run
from core.infer.volume_program import sliding_program, voting_program
from s4c.classifier import config as classifier
from s4c.classifier import export as of_classifier
from s4c.classifier.config import ClassifierConfig
from s4c.classifier.features import CELL, HALO
from s4c.classifier.infer import asked as asked_classifier
from s4c.classifier.runs import is_own_choice, open_classifiers
from s4c.config import Config, DecisionConfig, InferConfig
from s4c.networks import OUTSIDE, asked, open_runs, windows_of
from s4c.recipes import config_class


def export(
    runs: cli.Paths,
    *,
    out: Path,
    allow_unfinished: bool = False,
    choices: Annotated[
        cli.Choices,
        cli.Overrides(infer=InferConfig, decision=DecisionConfig, classify=classifier.InferConfig),
    ] = None,
) -> None:
    """Write a cascade, or a network whose windows vote, as one file that runs without panjax.

    Args:
      runs: trained networks of one contrast phase; the largest patch is the coarse one. Or that
        one and the classifier that learned from it, which then decides.
      out: file .npz: the networks for CPU, CUDA and TPU, weights, and the numbers around them.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the coarse run's, "decision.min_tumor_voxels" → voxels, and the
        classifier's, "classify.threshold" → probability.

    Raises:
      InputError: runs that make no cascade, or that need what the file cannot hold.
    """
    choices = choices or {}
    classifiers = [path for path in runs if config_class(path) is ClassifierConfig]
    by_phase = open_runs(
        [path for path in runs if path not in classifiers], allow_unfinished=allow_unfinished
    )
    deciding = open_classifiers(classifiers, by_phase, choices, allow_unfinished=allow_unfinished)
    if len(by_phase) != 1:
        phases = " and ".join(map(str, by_phase)) or "none"
        raise InputError(f"runs of the phases {phases}", hint="export each by itself")
    ((phase, opened),) = by_phase.items()
    own = {name: value for name, value in choices.items() if not is_own_choice(name)}
    cfgs = asked(opened, own)
    _require_plain(cfgs[0], opened[0].path)
    names = [str(cfg.data.patch) for cfg in cfgs]
    programs = {n: _program(c, r) for n, c, r in zip(names, cfgs, opened, strict=True)}
    about = {
        "window_hu": cfgs[0].prepare.window_hu,
        "phase": phase,
        "networks": names,
        "roi_margin": cfgs[0].infer.roi_margin,
        "decision": vars(cfgs[0].decision),
    }
    if deciding:
        programs["classifier"] = of_classifier.program(deciding[phase], opened[0])
        infer = asked_classifier(deciding[phase].cfg, choices).infer
        about["classifier"] = {**vars(infer), "cell": CELL, "halo": HALO}
    export_programs(out, programs, about, runs=[*opened, *deciding.values()])


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
    """(d, h, w, 1) of a normalised scan → class probabilities, or whole numbers of votes."""
    params, model_state = run.weights()
    variables: dict[str, Any] = {"params": params, "model_state": model_state}
    places: dict[str, Any] = {"stride": (cfg.infer.stride,) * 3, "batch": cfg.infer.batch}
    if cfg.infer.combine == "average":
        windows = {**windows_of(cfg), "combine": "average"}
        return sliding_program(variables, fill=[OUTSIDE], **places, **windows)
    return voting_program(variables, fill=OUTSIDE, **places, **windows_of(cfg))
