"""Status that `lnmet stage` told, against the truth: every method, and ours against the others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.commands.evaluate import Matched, headline_of_first
from lnmet.cases import LabelledCase, read_cases
from lnmet.labels import METASTATIC
from lnmet.status.measures import compared, measured
from lnmet.status.table import table_of


def evaluate_status(
    metrics: Mapping[str, Any], matched: Sequence[Matched], truths: Sequence[Path]
) -> dict[str, Any]:
    """Table VI over the examinations that no run learned from and whose status is known.

    Args:
      metrics: of the evaluation, with a row for each match; of several systems the first counts.
      matched: predictions with their truths.
      truths: data sets.

    Returns:
      {"methods": of `measured`, "comparisons": of `compared`, "rows": those that count}.
    """
    told, counted = statuses(truths), {id(row) for row in headline_of_first(metrics)}
    of_status = []
    for row, match in zip(metrics["rows"], matched, strict=True):
        status = told[match.truth.path]
        if id(row) in counted and status is not None:
            answer = match.prediction.row
            own = {"id": row["id"], "patient": row["patient"], "status": status}
            own |= {"scores": answer["scores"], "calls": answer["calls"]}
            of_status.append(own if row["fold"] is None else own | {"fold": row["fold"]})
    methods, comparisons = measured(of_status), compared(of_status)
    return {"methods": methods, "comparisons": comparisons, "rows": of_status}


def statuses(data: Sequence[Path]) -> Mapping[Path, bool | None]:
    """Whether the patient of each annotated case is positive, by the file of its image.

    As for training (`lnmet.status.patients`): a table that the data set brings decides, else the
    annotated nodes of all cases of the patient; None is not known.
    """
    told: dict[Path, bool | None] = {}
    for root in data:
        table, by_patient = table_of(root), defaultdict(list)
        for case in read_cases(root).cases:
            by_patient[case.patient].append(case)
        for cases in by_patient.values():
            known = [] if table is None else [table.facts(case).get("status") for case in cases]
            status = next((value for value in known if value is not None), None)
            status = _annotated(cases) if status is None else status
            told |= {case.image: status for case in cases}
    return told


def _annotated(cases: Sequence[LabelledCase]) -> bool | None:
    """Whether a patient has an annotated metastatic node."""
    named = [case for case in cases if METASTATIC in case.annotated]
    if any((case.read_label().array == METASTATIC).any() for case in named):
        return True
    return False if len(named) == len(cases) else None
