"""Tables IV to VII of all folds: what they hold out, pooled and averaged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import atomic, json_io
from core.commands import evaluate as evaluation
from core.commands.study import Ended
from core.report.table import to_text
from core.train.run_folder import read_division
from lnmet.evaluate import PAPER as SEGMENTATION
from lnmet.evaluate import annotated_truths, compare
from lnmet.identification.evaluate import PAPER as IDENTIFICATION
from lnmet.status.measures import Rows, compared, ensemble, measured
from lnmet.status.page import status_table
from lnmet.study.answers import FILE, SEGMENTED
from lnmet.study.external import answers_of, names_of
from lnmet.study.page import study_page
from lnmet.study.plan import Plan
from lnmet.study.steps import ANSWERS, IDENTIFIED


def merge_folds(
    plan: Plan, external: Sequence[Path], folds: Sequence[Ended], others: Ended, folder: Path
) -> None:
    """Write metrics.json and report.html, and print Table VI.

    Args:
      plan: the study.
      external: data sets that no fold has seen.
      folds: done.
      others: steps on the external data sets.
      folder: merged/.
    """
    metrics: dict[str, Any] = {
        "segmentation": _segmentation(plan, folds),
        "identification": _identification(plan, folds),
        "status": _status(_held_out(folds)),
        "external": {
            name: _status(_external(name, len(folds), others)) for name in names_of(external)
        },
        "left_out": {f"fold {n}": dict(fold.left_out) for n, fold in enumerate(folds)},
    }
    json_io.write_json(folder / "metrics.json", metrics)
    atomic.write_text(folder / "report.html", study_page(metrics))
    print(to_text(status_table(metrics["status"]["methods"])), end="")


def _segmentation(plan: Plan, folds: Sequence[Ended]) -> dict[str, Any] | None:
    """Tables III and V over the cases that each fold held out; None where none was segmented."""
    truths, rows = annotated_truths(plan.data), []
    for number, fold in enumerate(folds):
        outputs = [path for name in SEGMENTED.values() if (path := fold.of(name)) is not None]
        if outputs:
            held_out = set(read_division(outputs[0].parent / "nodes").test)
            own = [truth for truth in truths if truth.case.id in held_out]
            if not own:
                continue
            of_fold = evaluation.evaluate(SEGMENTATION, outputs, own).metrics["rows"]
            rows += [{**row, "fold": number} for row in of_fold]
    if not rows:
        return None
    names = dict.fromkeys(row["group"] for row in rows)
    summarize = SEGMENTATION.summarize
    groups = {
        name: summarize(evaluation.headline([row for row in rows if row["group"] == name]))
        for name in names
    }
    return {"groups": groups, "comparisons": compare(rows), "rows": rows}


def _identification(plan: Plan, folds: Sequence[Ended]) -> dict[str, Any] | None:
    """Table IV; None where no network identifies nodes."""
    outputs = [path for fold in folds if (path := fold.of(IDENTIFIED)) is not None]
    if not outputs:
        return None
    return evaluation.evaluate(IDENTIFICATION, outputs, annotated_truths(plan.data)).metrics


def _status(rows: Rows) -> dict[str, Any]:
    """Table VI, or VII: every method, and tests of ours against each."""
    return {"methods": measured(rows), "comparisons": compared(rows), "rows": rows}


def _held_out(folds: Sequence[Ended]) -> Rows:
    """Answers of each fold about its test part."""
    rows = []
    for number, fold in enumerate(folds):
        answered = json_io.read_json(fold.path / ANSWERS / FILE)["rows"]
        rows += [{**row, "fold": number} for row in answered if row["part"] == "test"]
    return rows


def _external(name: str, num_folds: int, others: Ended) -> Rows:
    """Answers of the ensemble of all folds about a data set."""
    paths = [others.of(answers_of(name, fold)) for fold in range(num_folds)]
    answers = [json_io.read_json(path / FILE) for path in paths if path is not None]
    return ensemble([a["rows"] for a in answers], [a["thresholds"] for a in answers])
