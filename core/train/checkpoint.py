"""Checkpoints on disk: the only file that knows Orbax.

RUN/checkpoints/<step>/ appears by a rename when it is complete and goes by another, so a killed
process never leaves a broken one under that name. The model stands apart from the rest: inference
needs no optimizer, and RUN/best/<step>/ holds nothing else.
"""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from core.errors import InputError, RunError
from core.train.checksums import verify_checksums, write_checksums
from core.train.state import State
from core.types import ModelState, Params

logger = logging.getLogger(__name__)

CHECKPOINTS, BEST = "checkpoints", "best"
"""Folders of a run: whole states to go on from; weights of the smallest validation loss."""
DROPPED = ".dropped"
"""In them: old checkpoints on their way out."""
UNFINISHED = ".orbax-checkpoint-tmp"
"""In the name of one that is being written; Orbax has no public name for it."""


class _Writer:
    """Lets one manager of the process write at a time.

    Orbax numbers its operations in the process, and looks the number up while it writes: two
    trainings in threads that save at once would wait for each other's signals until they fail.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: ocp.CheckpointManager | None = None

    def save(self, manager: ocp.CheckpointManager, step: int, items: ocp.args.Composite) -> None:
        """Start to write, once what another manager writes is complete."""
        with self._lock:
            if self._last is not None and self._last is not manager:
                self._last.wait_until_finished()
            self._last = manager
            manager.save(step, args=items)

    def close(self, manager: ocp.CheckpointManager) -> None:
        """Wait for what a manager writes, and forget it."""
        with self._lock:
            manager.close()
            if self._last is manager:
                self._last = None


_writer = _Writer()


class Checkpoints:
    """The checkpoints of one run; a context manager that waits for pending writes at its end.

    Args:
      folder: RUN/checkpoints or RUN/best, made when missing.
      keep: how many of the newest to keep.
    """

    def __init__(self, folder: Path, *, keep: int) -> None:
        newest = ocp.checkpoint_managers.LatestN(keep)
        # Two folders of a run are written at once; hosts that wait for one another must know for
        # which. Without a name of their own, two waits meet, and one host fails or hangs.
        waits = ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=folder.name)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=newest,
            todelete_subdir=DROPPED,
            multiprocessing_options=waits,
            async_options=ocp.options.AsyncOptions(post_finalization_callback=self._before_name),
        )
        self._folder, self._saved = folder, -1
        self._remove_dropped()  # a killed run may have left one, whose name is needed again
        self._drop_unfinished()
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        with _writing(self._folder):
            _writer.close(self._manager)
        self._remove_dropped()

    def latest(self) -> int | None:
        """Step of the newest checkpoint, or None; waits until one being written is complete."""
        self._wait()
        return self._manager.latest_step()

    def save(self, step: int, state: State) -> None:
        """Copy a state to the host now and write it in the background."""
        self._save(step, _items(state))

    def save_model(self, step: int, state: State) -> None:
        """Write parameters and model state alone, and wait until they are there."""
        self._save(step, {"model": _items(state)["model"]})
        self._wait()

    def _save(self, step: int, items: dict[str, Any]) -> None:
        self._wait()  # for the one before, whose number is still needed
        self._saved = step
        args = {name: ocp.args.StandardSave(item) for name, item in items.items()}
        with _writing(self._folder):
            _writer.save(self._manager, step, ocp.args.Composite(**args))

    def _wait(self) -> None:
        with _writing(self._folder):
            self._manager.wait_until_finished()
        self._remove_dropped()

    def _remove_dropped(self) -> None:
        if jax.process_index() == 0:
            shutil.rmtree(self._folder / DROPPED, ignore_errors=True)

    def _drop_unfinished(self) -> None:
        """Remove what was being written when a call ended.

        After a write that failed, TensorStore may still put files there for a moment. Orbax's own
        removal fails on a folder that fills again; here what stays is out of the way.
        """
        if jax.process_index() == 0:
            for unfinished in self._folder.glob(f"*{UNFINISHED}*"):
                dropped = self._folder / DROPPED / unfinished.name
                dropped.parent.mkdir(exist_ok=True)
                unfinished.rename(dropped)
            self._remove_dropped()

    def _before_name(self) -> None:
        """Called in the background when all is written, before the folder has its name."""
        if jax.process_index() == 0:
            (aside,) = self._folder.absolute().glob(f"{self._saved}.*")
            write_checksums(aside)

    def drop_after(self, step: int) -> None:
        """Remove those of later steps, which a run that starts again from `step` has yet to do."""
        for later in self._manager.all_steps():
            if later > step:
                self._manager.delete(later)

    def restore(self, target: State) -> State:
        """State of the newest checkpoint that is not damaged, on the devices of `target`.

        Damaged ones after it are named in the log and removed: the run makes them again.

        Args:
          target: a state of `jax.ShapeDtypeStruct` with shardings.

        Raises:
          InputError: a checkpoint of another model or optimizer, or none but damaged ones.
        """
        self._wait()
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                state = self._restore(step, target)
            except _DamagedError as error:
                logger.warning(
                    "%s: %s; the checkpoint before it is used", error.path, error.message
                )
                continue
            self.drop_after(step)
            return state
        raise InputError(
            "holds no checkpoint that is not damaged", path=self._folder, hint="start a new run"
        )

    def _restore(self, step: int, target: State) -> State:
        checkpoint, items = self._folder / str(step), _items(target)
        with _reading(checkpoint):
            verify_checksums(checkpoint)
            saved = {name: _metadata(checkpoint / name) for name in items}
        _refuse_misfit(checkpoint, saved, items)
        with _reading(checkpoint):
            wanted = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
            restored = self._manager.restore(step, args=ocp.args.Composite(**wanted))
        return State(**restored["model"], **restored["rest"])


def restore_model(folder: Path) -> tuple[Params, ModelState]:
    """Parameters and model state of the newest checkpoint, as NumPy arrays.

    Args:
      folder: RUN/checkpoints or RUN/best, as `core.train.run_folder.weights_folder` tells.

    Raises:
      InputError: a folder without a complete checkpoint, or with a damaged one.
    """
    steps = checkpoint_steps(folder)
    if not steps:
        raise InputError("holds no complete checkpoint", path=folder, hint="train first")
    item: Any = folder.absolute() / str(max(steps)) / "model"
    with _reading(item.parent), closing(ocp.PyTreeCheckpointHandler()) as handler:
        verify_checksums(item.parent, item.name)
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), _metadata(item))
        model = handler.restore(item, args=ocp.args.PyTreeRestore(restore_args=as_numpy))
    return model["params"], model["model_state"]


def checkpoint_steps(folder: Path) -> list[int]:
    """Steps of the complete checkpoints in a folder, which may be absent."""
    return ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []


def _items(state: State) -> dict[str, dict[str, Any]]:
    """What lies in the two folders of a checkpoint."""
    return {
        "model": {"params": state.params, "model_state": state.model_state},
        "rest": {"step": state.step, "opt_state": state.opt_state},
    }


def _metadata(item: Any) -> Any:
    """Tree of the shapes that were saved."""
    with closing(ocp.PyTreeCheckpointHandler()) as handler:
        return handler.metadata(item.absolute()).tree


def _refuse_misfit(checkpoint: Path, saved: Any, wanted: Any) -> None:
    """Compare names and shapes first: a failing restore leaves threads and a page of text."""
    ours, theirs = _shapes(wanted), _shapes(saved)
    wrong = [
        f"{name} is {theirs.get(name, 'absent')} there and {ours.get(name, 'absent')} now"
        for name in theirs | ours
        if theirs.get(name) != ours.get(name)
    ]
    if wrong:
        more = f" and {len(wrong) - 1} more" if wrong[1:] else ""
        raise InputError(
            f"belongs to another model or optimizer: {wrong[0]}{more}",
            path=checkpoint,
            hint="go on with the code and config that wrote it",
        )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Shape of each array by name; tuples, lists and named tuples name their parts alike."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    names = (jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves)
    return {name: tuple(leaf.shape) for name, (_, leaf) in zip(names, leaves, strict=True)}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Say in our words what TensorStore and Orbax have many for.

    Raises:
      OSError: the disk is full.
      RunError: it took too long by the clock of the day, which Orbax looks at.
    """
    try:
        yield
    except TimeoutError as error:
        text = f"{folder}: a write took longer than 20 minutes, or the clock jumped"
        raise RunError(f"{text}; go on with --resume") from error
    except Exception as error:
        text = os.strerror(errno.ENOSPC)
        if text in str(error):
            raise OSError(errno.ENOSPC, text, str(folder)) from error
        raise


class _DamagedError(InputError):
    """A checkpoint that cannot be read."""


@contextmanager
def _reading(checkpoint: Path) -> Iterator[None]:
    """Name the checkpoint that cannot be read, and what to do."""
    try:
        yield
    except Exception as error:
        # orbax decodes JSON and arrays without a look at what they hold: whatever it trips over.
        detail = " ".join(str(error).split())[:160]
        hint = "delete this folder to use the weights before them"
        if checkpoint.parent.name == CHECKPOINTS:
            hint = "train --resume makes it again from the one before"
        raise _DamagedError(f"is damaged ({detail})", path=checkpoint, hint=hint) from error
