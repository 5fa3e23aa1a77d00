"""The file of weights that a status network starts from, and the run folder's word about it."""

import logging
from pathlib import Path

import jax

from core import json_io
from core.errors import InputError
from core.train.checkpoint import CHECKPOINTS, checkpoint_steps
from core.train.run_folder import METRICS
from lnmet.status.config import ModelConfig

logger = logging.getLogger(__name__)

PRETRAINED = "pretrained.json"
"""Of a run folder."""
TRAINED_ON = {"resnet2d": "ImageNet", "resnet3d": "Kinetics-700 and Moments in Time"}


def starting_file(workdir: Path, weights: Path | None, cfg: ModelConfig) -> Path | None:
    """File of the first weights; a run that goes on started from the one it was started from.

    Args:
      workdir: RUN.
      weights: that the user names; None, none, or that of the run that goes on.
      cfg: network, named in the log.

    Raises:
      InputError: another file than the run, which goes on, was started from.
    """
    path = workdir / PRETRAINED
    if not (workdir / METRICS).exists():
        if weights is None:
            logger.warning(
                "starts from random parameters; the paper starts from %s: --weights FILE",
                TRAINED_ON[cfg.network],
            )
        if jax.process_index() == 0:
            json_io.write_json(path, {"file": weights and str(weights.resolve())})
        return weights
    before = json_io.read_json(path)["file"]
    if weights is not None and str(weights.resolve()) != before:
        raise InputError(
            f"was started from {before or 'random parameters'}, not from {weights}",
            path=workdir,
            hint="leave --weights out to go on, or start a new run",
        )
    return before and Path(before)


def unless_trained(workdir: Path, file: Path | None) -> Path | None:
    """The file, unless a checkpoint has later weights: then it need not be there any more."""
    return None if checkpoint_steps(workdir / CHECKPOINTS) else file
