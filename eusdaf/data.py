"""From prepared pictures to the batches of a step."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

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


def batch_of(cases: Sequence[Prepared]) -> Batch:
    """Arrays of some pictures: {"image": (n, s, s) uint8, "mask": (n, s, s) uint8}."""
    return {
        "image": np.stack([case.image[...] for case in cases]),
        "mask": np.stack([case.mask[...] for case in cases]),
    }
