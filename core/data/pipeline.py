"""Batches from a step number: prefetched by threads, equal whatever their number.

A batch is a pure function of its step, so resuming at step i is starting at step i: there is no
iterator state to store. This is the one file that imports grain, and with it jax, in a host room.
"""

from collections.abc import Callable, Iterator

import grain

from core.types import Batch


def batches(
    make: Callable[[int], Batch],
    *,
    start: int,
    num_steps: int,
    num_threads: int,
    buffer_size: int,
) -> Iterator[Batch]:
    """Batches of steps `start`, `start + 1`, … `num_steps − 1`, in order.

    Args:
      make: batch of a step; pure, and safe to call from several threads at once.
      start: first step; 0 for a new run, the number of steps done for a resumed one.
      num_steps: steps of the whole run.
      num_threads: threads that make batches ahead; 0 makes each when it is asked for.
      buffer_size: batches that may lie ready; bounds the memory, and the look-ahead.

    Returns:
      Iterator over batches.

    Raises:
      ValueError: if the step lies outside the run, or a count is out of range.
    """
    if not 0 <= start <= num_steps:
        raise ValueError(f"start must lie in [0, num_steps={num_steps}]; got {start}")
    if num_threads < 0 or buffer_size < 1:
        raise ValueError(
            "expected num_threads >= 0 and buffer_size >= 1; "
            f"got num_threads={num_threads}, buffer_size={buffer_size}"
        )
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=buffer_size)
    steps = grain.MapDataset.range(start, num_steps)
    return iter(steps.map(lambda step: make(int(step))).to_iter_dataset(options))
