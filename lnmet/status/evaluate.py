"""Status that `lnmet stage` told, against the truth: every method, and ours against the others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.commands.evaluate import Matched, headline
from core.metrics.rows import Row
from lnmet.cases import LabelledCase, read_cases
from lnmet.labels import METASTATIC
from lnmet.status.measures import compared, measured
from lnmet.status.table import table_of


def evaluate_status(
    rows: Sequence[Row], matched: Sequence[Matched], truths: Sequence[Path]
) -> dict[str, Any]:
    """Table VI over the examinations that no run learned from and whose status is known.

    Args:
      rows: of the evaluation, one for each match.
      matched: predictions with their truths.
      truths: data sets.

    Returns:
      {"methods": of `measured`, "comparisons": of `compared`, "rows": those that count}.
    """
    told, counted = statuses(truths), {id(row) for row in headline(rows)}
    of_status = []
    for row, match in zip(rows, matched, strict=True):
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

    A table that the data set brings decides, else its annotated nodes; None is not known.
    """
    told: dict[Path, bool | None] = {}
    for root in data:
        table = table_of(root)
        for case in read_cases(root).cases:
            known = None if table is None else table.facts(case).get("status")
            told[case.image] = _annotated(case) if known is None else known
    return told


def _annotated(case: LabelledCase) -> bool | None:
    if METASTATIC not in case.annotated:
        return None
    return bool((case.read_label().array == METASTATIC).any())
