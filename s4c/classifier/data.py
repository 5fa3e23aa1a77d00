"""From prepared scans to batches of features: once through the coarse network, then from disk."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data import epochs, patches
from core.data.cache import Stored, is_current, open_case, write_case
from core.errors import InputError
from core.preprocess.crop import Box
from core.preprocess.intensity import normalize
from core.random import rng
from core.types import Batch
from s4c.classifier.config import ClassifierConfig
from s4c.classifier.features import Cut, Extract, region
from s4c.data import Prepared

logger = logging.getLogger(__name__)

FEATURES = "features"
"""Of a run folder: the features of its cases."""
FORMAT = 1
"""Another number makes all features anew."""
BUCKET = 8
"""Sizes of regions are rounded up to so many features, so that few shapes are compiled."""


class Example(NamedTuple):
    """A case to learn from.

    Args:
      id: of the case.
      digest: identity of its HU.
      features: float32 (d, h, w, c) of the annotated pancreas, on disk until they are read.
      is_abnormal: whether a tumor is annotated.
    """

    id: str
    digest: str
    features: Stored
    is_abnormal: bool


def examples_of(
    cases: Sequence[Prepared], extract: Extract, weights: str, folder: Path
) -> list[Example]:
    """Features of cases around their annotated pancreas; those that are on disk are not made again.

    What is on disk is used if it is of the same network, image, intensities and region.

    Args:
      cases: prepared; those without a pancreas are left out.
      extract: of the coarse network.
      weights: digest of its weights.
      folder: of the features.
    """
    examples = []
    for case in cases:
        if case.pancreas_box is None:
            logger.warning("%s is left out: no pancreas is annotated", case.id)
            continue
        # PNET Sec. 2.3: the annotated region, without a margin.
        roi = region(case.pancreas_box, 0, case.label.shape)
        source = _source(case, roi, weights)
        if not is_current(folder, case.id, source):
            arrays = {FEATURES: extract(cut_of(case), roi)}
            write_case(folder, case.id, arrays, {}, source=source)
        features = open_case(folder, case.id).arrays[FEATURES]
        examples.append(Example(case.id, case.digest, features, case.is_abnormal))
    return examples


def cut_of(case: Prepared) -> Cut:
    """Any part of a prepared scan, normalised."""

    def cut(start: Sequence[int], shape: Sequence[int]) -> NDArray[np.float32]:
        hu = patches.extract(case.image, start, shape, fill=np.rint(case.mean))
        return normalize(hu, case.mean, case.std)

    return cut


def batch_maker(
    examples: Sequence[Example], cfg: ClassifierConfig, *, host: int = 0, num_hosts: int = 1
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Every case comes once in a pass, in an order of its own for every pass; both classes come as
    often as they are in the data. All batches have the shape that holds the largest region, so that
    a run compiles one step.

    Args:
      examples: to train on.
      cfg: the recipe.
      host: index of this host.
      num_hosts: hosts that share the batch; their parts together are the batch of a single host.

    Returns:
      `make(step)` → {"features": (n, d, h, w, c) float32, "size": (n, 3) int32, "abnormal": (n,)
      uint8}.

    Raises:
      InputError: no case has a tumor, or none has none.
    """
    for kind, text in ((True, "has a tumor"), (False, "is without a tumor")):
        if all(example.is_abnormal is not kind for example in examples):
            raise InputError(
                f"no training case with an annotated pancreas {text}",
                hint="a classifier needs both kinds: prepare more data sets into the cache",
            )
    largest = np.max([example.features.shape[:3] for example in examples], axis=0)
    shape = bucketed(largest.tolist())

    def collate(drawn: Sequence[Example]) -> Batch:
        return {
            "features": np.stack([padded(example.features[...], shape) for example in drawn]),
            "size": np.array([example.features.shape[:3] for example in drawn], np.int32),
            "abnormal": np.array([example.is_abnormal for example in drawn], np.uint8),
        }

    order = partial(rng, cfg.run.seed)
    return epochs.batch_maker(
        examples, collate, cfg.data.batch, order, host=host, num_hosts=num_hosts
    )


def bucketed(size: Sequence[int]) -> tuple[int, ...]:
    """Shape that regions of about this size share: each side rounded up to a multiple of 8."""
    return tuple(-(-n // BUCKET) * BUCKET for n in size)


def padded(features: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """Features (d, h, w, c) at the beginning of an array of this shape, zeros behind."""
    missing = [(0, n - size) for n, size in zip(shape, features.shape[:3], strict=True)]
    return np.pad(features, (*missing, (0, 0)))


def _source(case: Prepared, roi: Box, weights: str) -> str:
    """Identity of all that features depend on."""
    key = json.dumps([FORMAT, weights, case.digest, case.mean, case.std, roi])
    return hashlib.sha256(key.encode()).hexdigest()[:16]
