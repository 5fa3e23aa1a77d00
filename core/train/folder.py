"""The run folder's config.json: written once, compared ever after."""

from pathlib import Path
from typing import Any, TypeVar

import jax

from core import atomic, config
from core.errors import InputError

T = TypeVar("T")


def open_run(workdir: Path, cfg: Any, *, resume: bool) -> None:
    """Make a run folder with its config.json, or check that the one there belongs to `cfg`.

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
    if not path.exists():
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
