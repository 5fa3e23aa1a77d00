"""Passes over a data set: each example once a pass, in an order that seed and pass decide.

Batches follow each other without a gap: one may hold the last examples of a pass and the first of
the next, so all batches are full and every example is seen equally often.
"""

from collections.abc import Callable
from functools import lru_cache

from numpy.random import Generator

from core import check


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
