"""From prepared pictures to the batches of a step."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from core import check
from core.data.epochs import shuffled
from core.errors import InputError
from core.random import rng
from core.types import Batch


class Prepared(NamedTuple):
    """A picture ready to train on; its pixels stay on disk until they are read."""

    id: str
    patient: str
    digest: str
    """Identity of the whole picture's gray, whatever its file is called."""
    image: Any
    """Gray (s, s) uint8."""
    mask: Any
    """(s, s) uint8, 1 where the tumor is."""
    has_lesion: bool


def batch_maker(
    cases: Sequence[Prepared], batch: int, seed: int, *, host: int = 0, num_hosts: int = 1
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Args:
      cases: to train on; each once per pass, in an order of its own for every pass.
      batch: pictures per step, over all hosts.
      seed: of the run.
      host: index of this host.
      num_hosts: hosts that share the batch.

    Returns:
      `make(step)` → {"image": (n, s, s) uint8, "mask": (n, s, s) uint8}.

    Raises:
      InputError: no case.
    """
    if not cases:
        raise InputError("no training picture", hint="look at data.lesions_only and the folds")
    check.divisible("batch", (batch,), num_hosts, "hosts that share it")
    draw, num_local = shuffled(len(cases), partial(rng, seed)), batch // num_hosts

    def make(step: int) -> Batch:
        first = step * batch + host * num_local
        chosen = [cases[draw(number)] for number in range(first, first + num_local)]
        return {
            "image": np.stack([case.image[...] for case in chosen]),
            "mask": np.stack([case.mask[...] for case in chosen]),
        }

    return make
