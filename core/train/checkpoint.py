"""Checkpoints on disk: the only file that knows Orbax.

RUN/checkpoints/<step>/ appears by a rename when it is complete, so a killed process never leaves a
broken one under that name. The model stands apart from the rest: inference needs no optimizer.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from core.errors import InputError
from core.train.state import State
from core.types import ModelState, Params


class Checkpoints:
    """The checkpoints of one run; a context manager that waits for pending writes at its end.

    Args:
      folder: RUN/checkpoints, made when missing.
      keep: how many of the newest to keep.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        newest = ocp.checkpoint_managers.LatestN(keep)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=newest, cleanup_tmp_directories=True
        )
        self._folder = folder
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        self._manager.close()

    def latest(self) -> int | None:
        """Step of the newest complete checkpoint, or None."""
        return self._manager.latest_step()

    def save(self, step: int, state: State) -> None:
        """Copy a state to the host now and write it in the background."""
        model = {"params": state.params, "model_state": state.model_state}
        rest = {"step": state.step, "opt_state": state.opt_state}
        args = ocp.args.Composite(
            model=ocp.args.StandardSave(model), rest=ocp.args.StandardSave(rest)
        )
        self._manager.save(step, args=args)

    def restore(self, target: State) -> State:
        """State of the newest checkpoint, on the devices of `target`.

        Args:
          target: a state of `jax.ShapeDtypeStruct` with shardings.

        Raises:
          InputError: a checkpoint of another model or optimizer, or a damaged one.
        """
        model = {"params": target.params, "model_state": target.model_state}
        rest = {"step": target.step, "opt_state": target.opt_state}
        args = ocp.args.Composite(
            model=ocp.args.StandardRestore(model), rest=ocp.args.StandardRestore(rest)
        )
        with _reading(self._folder / str(self.latest())):
            found = self._manager.restore(self.latest(), args=args)
        return State(**found["model"], **found["rest"])


def restore_model(folder: Path) -> tuple[Params, ModelState]:
    """Parameters and model state of the newest checkpoint, as NumPy arrays.

    Args:
      folder: RUN/checkpoints.

    Raises:
      InputError: a folder without a complete checkpoint, or a damaged one.
    """
    steps = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
    if not steps:
        raise InputError("holds no complete checkpoint", path=folder, hint="train first")
    newest = folder.absolute() / str(max(steps))
    item: Any = newest / "model"
    with _reading(newest), contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
        found = handler.metadata(item).tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), found)
        model = handler.restore(item, args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    return model["params"], model["model_state"]


@contextlib.contextmanager
def _reading(checkpoint: Path) -> Iterator[None]:
    """Turn the library's page-long errors into one line about the checkpoint."""
    try:
        yield
    except (KeyError, OSError, ValueError) as error:
        detail = " ".join(str(error).split())[:160]
        raise InputError(
            f"is damaged or belongs to another model ({detail} …)",
            path=checkpoint,
            hint="delete this folder to use the checkpoint before it",
        ) from error
