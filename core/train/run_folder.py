"""The run folder: what is written once and compared ever after, and what is left at the end."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
from jax.sharding import Mesh

from core import atomic, config, json_io
from core.errors import InputError
from core.preprocess.appearance import Seen
from core.report.learning import learning_curves
from core.report.manifest import manifest
from core.train import log
from core.train.checkpoint import BEST, CHECKPOINTS, checkpoint_steps

T = TypeVar("T")

PARTS = ("test", "val", "train")
"""Of a data set, from untouched to learned from: an image in several counts as the last of them."""
FOLDS, METRICS, MANIFEST = "folds.json", "metrics.jsonl", "manifest.json"


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
    return config.from_json(cls, path.read_bytes(), path=path)


class Division(NamedTuple):
    """Who a run learned from, and who had no part in it.

    Args:
      fold: of a cross-validation; None where there is none.
      train: cases (of FEE-DL patients) to learn from.
      val: those that choose the weights; in most trainings none do.
      test: those held out.
      images: digest of every image → "train", "val" or "test".
      patients: likewise of every patient.
      scans: what those to learn from are like; None of pictures, and in runs of older versions.
    """

    fold: int | None
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    images: Mapping[str, str]
    patients: Mapping[str, str]
    scans: Seen | None = None

    @property
    def who(self) -> "Division":
        """Itself without `scans`, of which an older run of the same cases does not tell."""
        return self._replace(scans=None)


def record_division(workdir: Path, division: Division) -> None:
    """Write RUN/folds.json, or check that the one there says the same.

    Raises:
      InputError: the run was started on others.
    """
    path = workdir / FOLDS
    if path.is_file() and read_division(workdir).who != division.who:
        raise InputError("the run was started on other cases or another fold", path=path)
    if jax.process_index() == 0:
        scans = None if division.scans is None else division.scans.to_json()
        json_io.write_json(path, {**division._asdict(), "scans": scans})


def read_division(workdir: Path) -> Division:
    """Division of a run.

    Raises:
      InputError: the folder has none, or one of an older version.
    """
    path = workdir / FOLDS
    stored = json_io.read_json(path)
    try:
        train, val, test = (tuple(map(str, stored[side])) for side in ("train", "val", "test"))
        images, patients = (dict(stored[kind].items()) for kind in ("images", "patients"))
        scans = Seen.from_json(stored["scans"]) if stored.get("scans") else None
        return Division(stored["fold"], train, val, test, images, patients, scans)
    except KeyError as error:
        raise InputError(f"has no {error}", path=path, hint="train again") from None
    except (TypeError, AttributeError):
        raise InputError("is damaged", path=path, hint="train again") from None


def is_finished(workdir: Path) -> bool:
    """Whether a run reached its end."""
    return (workdir / MANIFEST).is_file()


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
    json_io.write_json(workdir / MANIFEST, provenance | dict(more or {}))
    curve = learning_curves(json_io.read_lines(metrics), curves)
    atomic.write_bytes(workdir / "plots" / "loss.png", curve)
