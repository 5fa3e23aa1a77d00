"""The run folder: what is written once and compared ever after, and what is left at the end."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
from jax.sharding import Mesh

from core import atomic, config, json_io
from core.errors import InputError
from core.report.learning import learning_curves
from core.report.manifest import manifest
from core.train import log
from core.train.checkpoint import BEST, CHECKPOINTS, checkpoint_steps

T = TypeVar("T")

FOLDS, METRICS = "folds.json", "metrics.jsonl"


def open_run(workdir: Path, cfg: Any, *, resume: bool) -> None:
    """Make a run folder with its config.json, or check that the one there belongs to `cfg`.

    A run begins with its metrics.jsonl. What a call left that was refused before that, for its data
    say, is no run.

    Args:
      workdir: RUN.
      cfg: the whole config of the run.
      resume: continue the run in this folder; if there is none yet, start it.

    Raises:
      InputError: the folder holds a run and `resume` is off, or a run of another config.
    """
    path = workdir / "config.json"
    if jax.process_index() != 0:
        return
    if not (path.exists() and (workdir / METRICS).exists()):
        (workdir / FOLDS).unlink(missing_ok=True)
        atomic.write_text(path, config.to_json(cfg))
    elif not resume:
        raise InputError(
            "already holds a run", path=workdir, hint="continue it with --resume or choose another"
        )
    elif differences := config.diff(load_config(type(cfg), workdir), cfg):
        raise InputError(
            f"cannot resume with another config: {', '.join(differences)}",
            path=path,
            hint="give the values of the run, or start a new one",
        )


def load_config(cls: type[T], workdir: Path) -> T:
    """Config of type `cls` that a run was started with."""
    path = workdir / "config.json"
    if not path.is_file():
        raise InputError("is no run: config.json is missing", path=workdir)
    return config.from_json(cls, path.read_text("utf-8"), path=path)


def record_fold(
    workdir: Path,
    fold: int | None,
    *,
    train: Sequence[str],
    test: Sequence[str],
    val: Sequence[str] = (),
) -> None:
    """Write RUN/folds.json, or check that the one there says the same.

    Args:
      workdir: RUN.
      fold: of a cross-validation; None where there is none.
      train: cases to learn from.
      test: cases held out.
      val: cases that choose the weights; in most trainings none do.

    Raises:
      InputError: the run was started on others.
    """
    path, chosen = workdir / FOLDS, {"fold": fold, "train": list(train), "test": list(test)}
    if val:
        chosen["val"] = list(val)
    if path.is_file() and json_io.read_json(path) != chosen:
        raise InputError("the run was started on other cases or another fold", path=path)
    if jax.process_index() == 0:
        json_io.write_json(path, chosen)


def held_out(workdir: Path) -> tuple[int | None, list[str]]:
    """Fold of a run, None if it had none, and the cases that played no part in its training.

    Raises:
      InputError: it trained on everything.
    """
    path = workdir / FOLDS
    found: dict[str, Any] = json_io.read_json(path) if path.is_file() else {"test": []}
    if not found["test"]:
        raise InputError("held no cases out", path=workdir, hint="train it with --fold")
    return found.get("fold"), found["test"]


def weights_folder(workdir: Path) -> Path:
    """Folder of the weights to use: RUN/best, or RUN/checkpoints where no loss was validated."""
    best = workdir / BEST
    return best if checkpoint_steps(best) else workdir / CHECKPOINTS


def finish_run(
    cfg: Any,
    mesh: Mesh,
    workdir: Path,
    *,
    curves: Sequence[str],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write RUN/manifest.json and RUN/plots/loss.png; on several hosts, the first one does.

    Args:
      cfg: config of the run.
      mesh: the devices it ran on.
      workdir: RUN, with its metrics.jsonl.
      curves: logged values to draw.
      more: entries of the manifest beside its own.
    """
    if jax.process_index() != 0:
        return
    metrics = workdir / METRICS
    provenance = manifest(
        fingerprint=config.fingerprint(cfg),
        devices=[device.device_kind for device in mesh.devices.flat],
        measured=log.summary(metrics) | log.ending(metrics),
    )
    json_io.write_json(workdir / "manifest.json", provenance | dict(more or {}))
    lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    atomic.write_bytes(workdir / "plots" / "loss.png", learning_curves(lines, curves))
