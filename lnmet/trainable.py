"""What prepared cases can be learned from, network by network, and why some cannot."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, get_args

from core.datasets.channels import Phase
from lnmet.config import Target
from lnmet.data import Prepared
from lnmet.labels import METASTATIC, has_target
from lnmet.status.patients import warn_of_conflicts

logger = logging.getLogger(__name__)


class Need(NamedTuple):
    """Something that a network learns from.

    Args:
      has: whether a case has it.
      lack: what is missing where none has.
    """

    has: Callable[[Prepared], bool]
    lack: str


def _names(target: Target) -> Need:
    return Need(lambda case: has_target(case.annotated, target), f"no data set names {target}")


def _shows(target: Target) -> Need:
    return Need(lambda case: len(case.voxels[target]) > 0, f"no case shows any voxel of {target}")


def _has_node(is_metastatic: bool) -> Need:
    kind = "metastatic" if is_metastatic else "negative"
    return Need(
        lambda case: bool((case.nodes[:, 0] == is_metastatic).any()),
        f"no case has a {kind} lymph node",
    )


def _has_status(status: bool) -> Need:
    return Need(
        lambda case: case.status is status,
        f"no patient is known to be {'positive' if status else 'negative'}: give --status",
    )


_METASTATIC_NAMED = Need(
    lambda case: METASTATIC in case.annotated, "no data set names metastatic lymph nodes"
)
_TUMOR = Need(lambda case: case.tumor is not None, "no case has a mask of the tumor: give --pdac")
_NEEDS: Mapping[str, Sequence[Need]] = {
    **{target: (_names(target), _shows(target)) for target in get_args(Target)},
    "identification": (_METASTATIC_NAMED, _has_node(True), _has_node(False)),
    "status": (_TUMOR, _has_status(True), _has_status(False)),
}


def lacks(cases: Sequence[Prepared]) -> dict[str, str | None]:
    """For each network, what no case has of what it learns from; None where nothing is lacking."""
    return {
        name: next((need.lack for need in needs if not any(map(need.has, cases))), None)
        for name, needs in _NEEDS.items()
    }


def log_trainable(cases: Sequence[Prepared]) -> None:
    """Log what can be trained on prepared cases, what cannot and why, and what is left out."""
    lacking = lacks(cases)
    able = [name for name, lack in lacking.items() if lack is None]
    logger.info("can be trained: %s", ", ".join(able) or "nothing")
    for name, lack in lacking.items():
        if lack is not None:
            logger.info("%s cannot be trained: %s", name, lack)
    for phase in get_args(Phase):
        if absent := sum(phase not in case.phases for case in cases):
            logger.info(
                "%d of %d cases have no %s phase: networks of the other one alone take them, "
                "see --data.phases",
                absent,
                len(cases),
                phase,
            )
    _log_statuses(cases)
    warn_of_conflicts(cases)


def _log_statuses(cases: Sequence[Prepared]) -> None:
    counts = Counter({case.patient: case.status for case in cases}.values())
    logger.info(
        "status: %d patients positive, %d negative, %d not known",
        *(counts[status] for status in (True, False, None)),
    )
