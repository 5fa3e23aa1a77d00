"""Networks that segment as a file that runs without panjax, by examples/exported_lnmet.py."""

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
from core.infer.export import Program, sliding_program
from core.infer.load import require_same
from core.types import ModelState, Params
from lnmet.anatomy import attention
from lnmet.asking import own_choices
from lnmet.config import Config, InferConfig, PrepareConfig, Range
from lnmet.infer import require_organs
from lnmet.model import INTENSITIES
from lnmet.networks import open_runs, stride_of, windows_of


def export(
    runs: cli.Paths,
    *,
    out: Path,
    allow_unfinished: bool = False,
    choices: Annotated[cli.Choices, cli.Overrides(infer=InferConfig)] = None,
) -> None:
    """Write networks that segment as one file that runs without panjax.

    Args:
      runs: trained networks of organs, the tumor and nodes; several folds of one are averaged.
      out: file .npz: the networks for CPU, CUDA and TPU, weights, and the numbers around them.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the runs', "infer.threshold" → probability of a node's voxel.

    Raises:
      InputError: runs that do not belong together, or that do anything but segment.
    """
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    if opened.identification:
        raise InputError(
            "tells which nodes are metastatic, and segmentations are exported",
            path=opened.identification[0].path,
            hint="leave it out",
        )
    require_organs(opened, None)
    segmenting, own = opened.segmentation, own_choices(choices or {}, "infer")
    require_same(segmenting, lambda cfg: cfg.prepare, lambda cfg: f"{cfg.prepare.spacing_mm} mm")
    cfgs = [overridden(run.cfg, own) for run in segmenting]
    names = [f"{cfg.data.target}-{number}" for number, cfg in enumerate(cfgs)]
    networks = {n: (c, *r.weights()) for n, c, r in zip(names, cfgs, segmenting, strict=True)}
    prepare = cfgs[0].prepare
    programs = {name: _program(*network) for name, network in networks.items()}
    if any(cfg.model.attention for cfg in cfgs):
        programs["attention"] = _attention(prepare)
    about = {
        "spacing_mm": prepare.spacing_mm,
        "margin_mm": prepare.margin_mm,
        "networks": [{"name": n, **_about(c, state)} for n, (c, _, state) in networks.items()],
    }
    export_programs(out, programs, about, runs=segmenting)


def _program(cfg: Config, params: Params, model_state: ModelState) -> Program:
    """(n, d, h, w, c) of windows in HU, attention behind them → what they add to the sums."""
    return sliding_program(
        {"params": params, **model_state},
        batch=cfg.infer.batch,
        num_channels=len(cfg.data.phases) + cfg.model.attention,
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


def _about(cfg: Config, model_state: ModelState) -> dict[str, Any]:
    return {
        "target": cfg.data.target,
        "phases": cfg.data.phases,
        "attention": cfg.model.attention,
        "window": cfg.data.patch,
        "stride": stride_of(cfg),
        "outside_hu": np.asarray(model_state[INTENSITIES]["mean"]).tolist(),
        "threshold": cfg.infer.threshold,
        "min_node_mm3": cfg.infer.min_node_mm3,
    }
