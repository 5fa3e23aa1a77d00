"""Status of patients: of a table, or of their annotated nodes."""

import logging
from collections.abc import Iterable, Sequence

from lnmet.data import Prepared
from lnmet.labels import METASTATIC
from lnmet.status.table import listed

logger = logging.getLogger(__name__)


def with_status(cases: Sequence[Prepared]) -> list[Prepared]:
    """Cases with the status of their patients, where it is known.

    What a table tells of one case holds for all cases of the patient. Of a patient about whom none
    tells, one annotated metastatic node in any case makes a positive one (Sec. III-B), and none of
    them a negative one, where all cases tell metastatic nodes from others.
    """
    told = {case.patient: case.status for case in cases if case.status is not None}
    by_patient: dict[str, list[Prepared]] = {}
    for case in cases:
        by_patient.setdefault(case.patient, []).append(case)
    annotated = {patient: _annotated(own) for patient, own in by_patient.items()}
    return [case._replace(status=told.get(case.patient, annotated[case.patient])) for case in cases]


def warn_of_conflicts(cases: Iterable[Prepared]) -> None:
    """Warn of patients who are negative and have an annotated metastatic node; the table counts."""
    names = {case.patient for case in cases if case.status is False and is_metastatic(case)}
    if names:
        logger.warning(
            "negative by the table, but with an annotated metastatic node: %s; the table counts",
            listed(sorted(names)),
        )


def is_metastatic(case: Prepared) -> bool:
    """Whether a case has an annotated metastatic node."""
    return bool(case.nodes[:, 0].any())


def _annotated(cases: Sequence[Prepared]) -> bool | None:
    if any(map(is_metastatic, cases)):
        return True
    return False if all(METASTATIC in case.annotated for case in cases) else None
