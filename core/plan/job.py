"""What a recipe computes, without its data."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import NamedTuple

import jax
from numpy.typing import NDArray

from core import malloc
from core.data.cache import Stored, open_case, write_case
from core.train.config import RunConfig
from core.train.task import Task
from core.types import Batch


class Job(NamedTuple):
    """A recipe's training and its inference.

    Args:
      task: as `train` builds it, of cases that are made up.
      run: its length in steps, with as many examples as the paper has.
      batch: examples per step, over all chips.
      dtype: compute type of the network.
      ask: (params, model state, *arrays) → answers; what one call of inference computes.
      arrays: number of chips → shapes of what such a call is asked about, the leading axis is the
        batch over all of them.
      cache_bytes: of what is prepared of as many cases as the paper has.
    """

    task: Task
    run: RunConfig
    batch: int
    dtype: str
    ask: Callable[..., jax.Array]
    arrays: Callable[[int], Sequence[jax.ShapeDtypeStruct]]
    cache_bytes: int


class HostWork(NamedTuple):
    """What feeds a step.

    Args:
      batch: of the last step.
      core_seconds: that one core works to make a batch.
    """

    batch: Batch
    core_seconds: float


TIMED = 6
"""Batches that are made to see how long one takes."""


def on_disk(**arrays: NDArray) -> dict[str, Stored]:
    """Arrays as a prepared case has them, in files that last as long as the process."""
    folder = Path(mkdtemp(dir=_folder().name))
    write_case(folder, "made-up", arrays, {}, source="")
    return dict(open_case(folder, "made-up").arrays)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="panjax-plan-")


def host_work(job: Job) -> HostWork:
    """Make a few batches, the run's last ones: all that it starts is then counted."""
    malloc.keep_freed()  # as a training does
    (batch,) = job.task.batches(job.run.steps - 1)  # imports, and pages of memory
    start = max(0, job.run.steps - TIMED)
    began = time.process_time()
    num = sum(1 for _ in job.task.batches(start))
    return HostWork(batch, (time.process_time() - began) / num)
