"""Work on many cases in processes of their own, each on one core."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import numpy  # noqa: F401 - its BLAS must be loaded for a new process to limit its threads
from threadpoolctl import threadpool_limits

from core import check
from core.errors import RunError

Item = TypeVar("Item")
Result = TypeVar("Result")
WORKER_KILLED = (
    "a worker process was killed, most likely for lack of memory; call again with fewer of them"
)


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], num_processes: int
) -> Iterator[Result]:
    """Results of `work` in the order of `items`; processes are spawned, a fork may copy held locks.

    Each on one core: the products here are small, and the threads of a BLAS that wait for each
    other take a quarter of the time.

    Args:
      work: what to do with an item; it and the items go to other processes, so they are pickled.
      items: of the work.
      num_processes: that work at a time; with 1, this one does.

    Raises:
      RunError: one of them was killed.
    """
    check.positive("num_processes", num_processes)
    if num_processes == 1:
        with threadpool_limits(1):
            yield from map(work, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_processes, context, _on_one_core) as pool:
        try:
            yield from pool.map(work, items)
        except BrokenProcessPool:
            raise RunError(WORKER_KILLED) from None


def _on_one_core() -> None:
    # Named here, not passed as it is: what it limits must be loaded, and this module loads NumPy.
    threadpool_limits(1)
