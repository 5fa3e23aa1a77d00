"""A system as a file that runs without panjax, by examples/exported_lnmet.py."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import symbolic_shape
from jaxtyping import Array

from core import cli
from core.commands.export import export as export_programs
from core.config import overridden
from core.distance.edt import BLOCK
from core.errors import InputError
from core.infer.export import Program
from core.infer.load import Run
from core.infer.volume_program import sliding_program
from lnmet.anatomy import attention
from lnmet.asking import own_choices
from lnmet.config import Config, InferConfig, PrepareConfig, Range
from lnmet.identification import config as identification
from lnmet.identification import export as of_node
from lnmet.identification.config import IdentificationConfig
from lnmet.identification.infer import SECTION as IDENTIFY
from lnmet.infer import require_organs
from lnmet.model import INTENSITIES
from lnmet.networks import Runs, open_runs, stride_of, windows_of
from lnmet.recipes import config_class
from lnmet.status import config as status
from lnmet.status import export as of_patient
from lnmet.status.answer import SECTION as STATUS
from lnmet.status.config import StatusConfig
from lnmet.status.infer import open_runs as open_status


def export(
    runs: cli.Paths,
    *,
    out: Path,
    allow_unfinished: bool = False,
    choices: Annotated[
        cli.Choices,
        cli.Overrides(
            infer=InferConfig, identify=identification.InferConfig, status=status.InferConfig
        ),
    ] = None,
) -> None:
    """Write a system as one file that runs without panjax.

    Args:
      runs: trained networks of organs, the tumor and nodes, of which nodes are metastatic, and of
        the status; several folds of one are averaged.
      out: file .npz: the networks for CPU, CUDA and TPU, weights, and the numbers around them.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the runs': "infer.threshold", "identify.threshold", "status.threshold".

    Raises:
      InputError: runs that do not belong together, or of which one needs another.
    """
    of_status = [path for path in runs if config_class(path) is StatusConfig]
    opened = open_runs(
        [path for path in runs if path not in of_status], allow_unfinished=allow_unfinished
    )
    telling = open_status(of_status, allow_unfinished=allow_unfinished) if of_status else []
    require_organs(opened, None)
    _require_for_status(opened, telling)
    asked = {
        name: (overridden(run.cfg, own_choices(choices or {}, section)), run)
        for section, of_section in _by_section(opened, telling).items()
        for name, run in of_section.items()
    }
    programs = {name: _program(cfg, run) for name, (cfg, run) in asked.items()}
    for cfg, _ in asked.values():
        if isinstance(cfg, Config) and cfg.model.attention:
            programs["attention"] = _attention(cfg.prepare)
    about = {"networks": [_about(name, cfg) for name, (cfg, _) in asked.items()]}
    export_programs(out, programs, about, runs=[*opened.all, *telling])


def _by_section(
    opened: Runs, telling: Sequence[Run[StatusConfig]]
) -> Mapping[str, Mapping[str, Run[Any]]]:
    """Runs by the operating choices that are theirs, and by a name of their own."""
    sections = {"infer": opened.segmentation, IDENTIFY: opened.identification, STATUS: telling}
    return {
        section: {f"{run.cfg.data.target}-{number}": run for number, run in enumerate(runs)}
        for section, runs in sections.items()
    }


def _require_for_status(opened: Runs, telling: Sequence[Run[StatusConfig]]) -> None:
    """Refuse a network of the status that nothing shows what it looks at."""
    targets = {run.cfg.data.target for run in opened.segmentation}
    for run in telling:
        if "pdac" not in targets:
            raise InputError("looks at a tumor, and no run segments it", path=run.path)
        if run.cfg.model.nodes and not opened.identification:
            raise InputError("looks at nodes, and no run tells metastatic ones", path=run.path)


def _program(cfg: Any, run: Run[Any]) -> Program:
    if isinstance(cfg, IdentificationConfig):
        return of_node.program(run)
    return of_patient.program(run) if isinstance(cfg, StatusConfig) else _segmentation(cfg, run)


def _segmentation(cfg: Config, run: Run[Config]) -> Program:
    """(d, h, w, c) of HU, attention behind them → class probabilities."""
    params, model_state = run.weights()
    return sliding_program(
        {"params": params, **model_state},
        stride=stride_of(cfg),
        batch=cfg.infer.batch,
        # Beyond a scan is the mean of the foreground, without attention.
        fill=[*np.asarray(model_state[INTENSITIES]["mean"]).tolist(), *[0.0] * cfg.model.attention],
        even=True,
        **windows_of(cfg),
    )


def _attention(cfg: PrepareConfig) -> Program:
    """Ids 1 … 10 of organs (d, h, w), any size from 16 pixels on → attention."""
    # A CPU takes the distances by blocks of as many.
    constraints = [f"h >= {BLOCK}", f"w >= {BLOCK}"]
    shape = symbolic_shape("d, h, w", constraints=constraints)
    ranges = [Range(*pair) for pair in cfg.ranges_mm]

    def ask(_: Any, organs: Array) -> Array:
        return attention(organs, cfg.spacing_mm, ranges)

    return Program(ask, {}, [jax.ShapeDtypeStruct(shape, jnp.uint8)])


def _about(name: str, cfg: Any) -> dict[str, Any]:
    own = {
        "name": name,
        "target": cfg.data.target,
        "phases": cfg.data.phases,
        "spacing_mm": cfg.prepare.spacing_mm,
        "threshold": cfg.infer.threshold,
    }
    if isinstance(cfg, Config):
        own |= {
            "attention": cfg.model.attention,
            "margin_mm": cfg.prepare.margin_mm,
            "min_node_mm3": cfg.infer.min_node_mm3,
        }
    return own
