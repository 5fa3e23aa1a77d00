"""Batches by their step, and passes over a data set in which each example comes once.

Batches follow each other without a gap: one may hold the last examples of a pass and the first of
the next, so all batches are full and every example is seen equally often.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from numpy.random import Generator

from core import check

E = TypeVar("E")
B = TypeVar("B")


def batch_maker(
    examples: Sequence[E],
    collate: Callable[[Sequence[E]], B],
    batch: int,
    generator: Callable[[int], Generator],
    *,
    host: int = 0,
    num_hosts: int = 1,
) -> Callable[[int], B]:
    """Function from a step to the part of its batch that one host feeds.

    Args:
      examples: to train on; each once per pass, in an order of its own for every pass.
      collate: examples → arrays of them.
      batch: examples per step, over all hosts.
      generator: of the order of a pass, by the number of the pass.
      host: index of this host.
      num_hosts: hosts that share the batch; their parts together are the batch of a single host.

    Raises:
      ValueError: no example, or hosts that do not divide the batch.
    """
    numbers = numbers_of_host(batch, host, num_hosts)
    draw = shuffled(len(examples), generator)
    return lambda step: collate([examples[draw(number)] for number in numbers(step)])


def numbers_of_host(batch: int, host: int, num_hosts: int) -> Callable[[int], range]:
    """Function from a step to the numbers, in the run, of the examples that one host feeds.

    Raises:
      ValueError: hosts that do not divide the batch.
    """
    check.divisible("batch", (batch,), num_hosts, "hosts that share it")
    num_local = batch // num_hosts
    return lambda step: range(first := step * batch + host * num_local, first + num_local)


def shuffled(num_examples: int, generator: Callable[[int], Generator]) -> Callable[[int], int]:
    """Function from the number of a draw in a run (0, 1, 2, …) to the index of an example.

    Args:
      num_examples: of the data set; draws k · num_examples … (k + 1) · num_examples − 1 are pass k
        and hold every index once.
      generator: of the order of a pass, by the number of the pass.

    Raises:
      ValueError: no example.
    """
    check.positive("num_examples", num_examples)

    return lambda draw: _order(generator, num_examples, draw // num_examples)[draw % num_examples]


# Of a module, so that worker processes can be handed what draws from it. Threads that work ahead
# meet two passes at most, of each training in the process.
@lru_cache(maxsize=16)
def _order(generator: Callable[[int], Generator], num_examples: int, number: int) -> list[int]:
    """Indices of the examples in pass `number`."""
    return generator(number).permutation(num_examples).tolist()
