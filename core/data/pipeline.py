"""Batches from a step number: prefetched by threads, equal whatever their number.

A batch is a pure function of its step, so resuming at step i is starting at step i: there is no
iterator state to store. This is the one file that imports grain, and with it jax, in a host room.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grain
from absl import flags

from core.errors import RunError
from core.processes import WORKER_KILLED
from core.types import Batch

NUM_THREADS = min(8, os.cpu_count() or 1)
"""Batches that are made at once; so many may lie ready."""
GRACE_S = 60
"""How long a worker goes on after SIGTERM."""


def batches(
    make: Callable[[int], Batch],
    *,
    start: int,
    num_steps: int,
    num_threads: int = NUM_THREADS,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Batches of steps `start`, `start + 1`, … `num_steps − 1`, in order.

    Args:
      make: batch of a step; pure, and safe to call from several threads at once.
      start: first step; 0 for a new run, the number of steps done for a resumed one.
      num_steps: steps of the whole run.
      num_threads: threads that make batches ahead; 0 makes each when it is asked for.
      num_workers: processes that share the work, each with one thread; 0 for threads alone. Worth
        their start where a batch costs the host more than its step costs the device.

    Returns:
      Iterator over batches: the same for any number of threads and workers.

    Raises:
      ValueError: if the step lies outside the run, or a count is negative.
      RunError: a worker process was killed.
    """
    if not 0 <= start <= num_steps:
        raise ValueError(f"start must lie in [0, num_steps={num_steps}]; got {start}")
    if num_threads < 0 or num_workers < 0:
        raise ValueError(
            "expected num_threads >= 0 and num_workers >= 0; "
            f"got num_threads={num_threads}, num_workers={num_workers}"
        )
    steps = grain.MapDataset.range(start, num_steps).map(lambda step: make(int(step)))
    if num_workers == 0:
        # A look-ahead below the number of threads would leave some of them idle.
        options = grain.ReadOptions(num_threads, prefetch_buffer_size=max(1, num_threads))
        return iter(steps.to_iter_dataset(options))
    flags.FLAGS.mark_as_parsed()  # grain's workers read their settings from there
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    workers = grain.MultiprocessingOptions(num_workers=num_workers, per_worker_buffer_size=2)
    prefetched = steps.to_iter_dataset(options).mp_prefetch(workers, worker_init_fn=_outlive)
    return _of_workers(iter(prefetched))


def _outlive(index: int, count: int) -> None:
    """A scheduler's SIGTERM goes to workers as well, which the last steps and the save still need.

    They do not ignore it for good: it is also what ends them where nobody closed their iterator.
    """

    def hear(*_: object) -> None:
        end = threading.Timer(GRACE_S, os._exit, (0,))
        end.daemon = True  # one that is done before does not wait for it
        end.start()

    signal.signal(signal.SIGTERM, hear)


def _of_workers(prefetched: Any) -> Iterator[Batch]:
    try:
        yield from prefetched
    except RuntimeError as error:
        if "terminated unexpectedly" in str(error):  # grain has no type of its own for it
            raise RunError(WORKER_KILLED) from None
        raise
    finally:
        prefetched.close()
