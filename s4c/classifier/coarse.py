"""The coarse run that a classifier is built on, and its run folder's word about it."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from core import config, json_io
from core.errors import InputError
from core.infer.load import Run, load_runs
from core.train.run_folder import METRICS
from s4c.config import Config
from s4c.recipes import config_class

COARSE = "coarse.json"
"""Of a run folder: whose features it learned from."""


class Coarse(NamedTuple):
    """A run of the coarse network.

    Args:
      path: its folder.
      step: of its weights.
      fingerprint: of its config.
      weights: digest of its weights, which are the same wherever the run lies.
    """

    path: str
    step: int
    fingerprint: str
    weights: str


def coarse_of(run: Run[Config]) -> Coarse:
    """What is kept of a run."""
    fingerprint = config.fingerprint(run.cfg)
    return Coarse(str(run.path.resolve()), run.step, fingerprint, weights_digest(run.weights()))


def weights_digest(weights: Any) -> str:
    """Identity of a tree of arrays by their names and content."""
    content = hashlib.blake2b(digest_size=12)
    for name, array in jax.tree_util.tree_leaves_with_path(weights):
        content.update(f"{jax.tree_util.keystr(name)} {array.shape} {array.dtype}".encode())
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()


def open_coarse(workdir: Path, path: Path | None) -> tuple[Run[Config], Coarse]:
    """The run that a training is built on, kept in its folder: one that goes on has the same.

    Args:
      workdir: RUN.
      path: run folder that the user names; None, that of the run that goes on.

    Raises:
      InputError: none is named, or no finished run of a segmentation, or other weights than RUN
        began with.
    """
    goes_on = (workdir / METRICS).exists()
    stored = read_coarse(workdir) if goes_on else None
    if path is None and stored is None:
        raise InputError(
            "a classifier learns from the features of a segmentation network",
            hint="train pdac-64 or pnet-venous first, and give --coarse RUN",
        )
    path = path or Path(stored.path)  # type: ignore[union-attr]
    if config_class(path) is not Config:
        raise InputError(
            "segments nothing", path=path, hint="give a run of pdac-64 or of pnet-venous"
        )
    (run,) = load_runs(Config, [path], allow_unfinished=False)
    if run.cfg.model.network != "resdsn":
        raise InputError(f"is of a {run.cfg.model.network}, and features are ResDSN's", path=path)
    found = coarse_of(run)
    if stored is not None and found.weights != stored.weights:
        raise InputError(
            f"began with step {stored.step} of {stored.path}, and not with these weights of {path}",
            path=workdir,
            hint="give the run that it began with, or start a new one",
        )
    if stored is None and jax.process_index() == 0:
        json_io.write_json(workdir / COARSE, found._asdict())
    return run, found


def read_coarse(workdir: Path) -> Coarse:
    """What a run of a classifier says of its coarse network.

    Raises:
      InputError: nothing, or nothing that can be read.
    """
    path = workdir / COARSE
    try:
        return Coarse(**json_io.read_json(path))
    except TypeError:
        raise InputError("is damaged", path=path, hint="train again") from None
