"""From prepared cases to batches of pictures, or boxes, around the tumor.

A batch is a pure function of (seed, step): an interruption changes nothing that is drawn.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.epochs import shuffled
from core.datasets.channels import Phase
from core.errors import InputError
from core.random import rng
from core.types import Batch
from lnmet.data import Prepared, batches_of
from lnmet.labels import PDAC
from lnmet.status.config import StatusConfig
from lnmet.status.pictures import PLANES, Scan, box, picture
from lnmet.status.table import listed

logger = logging.getLogger(__name__)


class Example(NamedTuple):
    """A case with all that the network is told of it.

    Args:
      case: with a tumor.
      is_positive: what is to be told.
      volume_mm3: of the largest metastatic node; 0 without one, or where it is not looked at.
    """

    case: Prepared
    is_positive: bool
    volume_mm3: float


def usable(cases: Sequence[Prepared], phases: Sequence[Phase]) -> list[Prepared]:
    """Cases that the status can be learned from; the log tells which are left out, and why.

    Raises:
      InputError: there is none, or all have the same status.
    """
    left = list(cases)
    for has, lack, hint in _needs(phases):
        without = [case.id for case in left if not has(case)]
        if len(without) == len(left):
            raise InputError(f"{lack[0].upper()}{lack[1:]}: no case is left to train", hint=hint)
        if without:
            logger.warning("left out, %s: %s", lack, listed(without))
        left = [case for case in left if has(case)]
    if len({case.status for case in left}) == 1:
        kind = "positive" if left[0].status else "negative"
        raise InputError(
            f"all {len(left)} cases are {kind}: nothing can be learned",
            hint="patients of both kinds are needed",
        )
    return left


def _needs(phases: Sequence[Phase]) -> list[tuple[Callable[[Prepared], bool], str, str]]:
    """What a case must have: test, what is said of a case without, and what to do."""
    of_phases = [
        (
            lambda case, phase=phase: phase in case.phases,
            f"without the {phase} phase",
            "train with --data.phases venous --data.channels venous",
        )
        for phase in phases
    ]
    return [
        *of_phases,
        (lambda case: case.tumor is not None, "without a mask of the tumor", "prepare with --pdac"),
        (lambda case: case.status is not None, "without a known status", "prepare with --status"),
    ]


def num_inputs(cfg: StatusConfig) -> int:
    """Pictures of one patient, nine in the paper, or one box."""
    return len(PLANES) * cfg.data.slices if cfg.model.network == "resnet2d" else 1


def batch_maker(
    examples: Sequence[Example], cfg: StatusConfig, *, host: int = 0, num_hosts: int = 1
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Every picture of every patient comes once in a pass, in an order of its own for every pass. Both
    classes come as often as they are in the data.

    Args:
      examples: to train on.
      cfg: the recipe.
      host: index of this host.
      num_hosts: hosts that share the batch; their parts together are the batch of a single host.

    Returns:
      `make(step)` → {"image": HU int16 (n, *s, c), "mask": uint8 (n, *s), "volume_mm3": float32
      (n,), "status": uint8 (n,)}.
    """
    per_patient = num_inputs(cfg)
    order = shuffled(len(examples) * per_patient, partial(rng, cfg.run.seed))

    def draw(number: int) -> Mapping[str, NDArray]:
        which, of_patient = divmod(order(number), per_patient)
        example = examples[which]
        return {
            **input_of(scan_of(example.case), of_patient, cfg),
            "volume_mm3": np.array(example.volume_mm3, np.float32),
            "status": np.array(example.is_positive, np.uint8),
        }

    return batches_of(draw, cfg.data.batch, host=host, num_hosts=num_hosts)


def input_of(scan: Scan, number: int, cfg: StatusConfig) -> dict[str, NDArray]:
    """One picture of a patient, or the box.

    Returns:
      {"image": HU int16 (*s, c), "mask": uint8 (*s)}.
    """
    data = cfg.data
    channels = [list(scan.phases).index(phase) for phase in data.phases]
    outside_hu = round(data.window_hu[0])  # zero after the window
    if cfg.model.network == "resnet3d":
        return box(scan, shape=data.box, channels=channels, outside_hu=outside_hu)
    plane, rank = divmod(number, data.slices)
    return picture(
        scan.tumor, plane, rank, size=data.size, channels=channels, outside_hu=outside_hu
    )


def inputs_of(scan: Scan, cfg: StatusConfig) -> dict[str, NDArray]:
    """All pictures of a patient, or the box, along a leading axis."""
    every = [input_of(scan, number, cfg) for number in range(num_inputs(cfg))]
    return {name: np.stack([one[name] for one in every]) for name in every[0]}


def scan_of(case: Prepared) -> Scan:
    """Where pictures of a prepared case with a tumor come from."""
    if case.tumor is None:
        raise ValueError(f"case {case.id} has no tumor")
    return Scan(case.phases, case.image, case.label, PDAC, case.tumor)
