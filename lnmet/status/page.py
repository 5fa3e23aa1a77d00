"""Status on a page: every method's figures, tests of ours against the others, and curves."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from core.report import html
from core.report.table import UNDEFINED, Table, p_value, table_of
from lnmet.status.curves import status_figures
from lnmet.status.measures import MEASURES
from lnmet.status.methods import METHODS

TITLES = ("balanced accuracy", "AUC", "accuracy", "sensitivity", "specificity")
"""Of `MEASURES`."""
TESTS = {
    "Wilcoxon (paper)": "p_wilcoxon",
    "permutation": "p_permutation",
    "permutation of AUC": "p_permutation_auc",
    "DeLong": "p_delong",
    "McNemar": "p_mcnemar",
}
"""Of comparisons with ours, by heading."""
TEST_NOTE = (
    "p of ours against each, and in brackets after Holm's correction over the methods. The paper's "
    "test is between 1,000 bootstraps of the balanced accuracy: its p falls with their number and "
    "is no test of patients; the permutations are."
)


def status_sections(
    title: str,
    status: Mapping[str, Any],
    paper: Mapping[str, Sequence[float]] | None = None,
    note: str = "",
) -> list[html.Section]:
    """Every method's figures beside the paper's, tests of ours against each, and curves.

    Args:
      title: of the table.
      status: methods, comparisons and rows.
      paper: its figures by its names.
      note: under the table.
    """
    if not status["methods"]:
        return []
    sections = [html.table(title, status_table(status["methods"], paper), note=note)]
    if status["comparisons"]:
        tests = html.table("Ours against the others", difference_table(status), note=TEST_NOTE)
        sections.append(tests)
    return [*sections, *status_figures(status["rows"])]


def status_table(
    methods: Sequence[Mapping[str, Any]], paper: Mapping[str, Sequence[float]] | None = None
) -> Table:
    """Figures of every method with intervals, in the order of Table VI, each above the paper's.

    Where several folds are pooled, their mean, which is what the paper has, is a row of its own.
    What stands below a method is of that method; its names in the paper are in `METHODS`.
    """
    columns: dict[str, Any] = {"method": "method", "cases": "num_cases"}
    for heading, name in zip(TITLES, MEASURES, strict=True):
        columns[heading] = lambda row, name=name: _with_interval(row, name)
    rows: list[Mapping[str, Any]] = []
    for method in methods:
        rows.append(method)
        of_folds = {measure: method.get(f"{measure}_of_folds") for measure in MEASURES}
        if any(map(_is_defined, of_folds.values())):
            rows.append({"method": "mean of folds"} | of_folds)
        if figures := (paper or {}).get(METHODS[method["method"]]):
            of_paper = dict(zip(MEASURES, figures, strict=True))
            rows.append({"method": "in the paper"} | of_paper)
    return table_of(columns, rows)


def difference_table(status: Mapping[str, Any]) -> Table:
    """Differences of ours to the other methods, and how sure they are."""
    columns: dict[str, Any] = {
        "ours against": "name",
        "balanced accuracy": lambda row: _signed(row["balanced_accuracy_difference"]),
        "AUC": lambda row: _signed(row["auc_difference"]),
    }
    for heading, name in TESTS.items():
        columns[heading] = lambda row, name=name: _with_holm(row, name)
    return table_of(columns, status["comparisons"])


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    if not _is_defined(row[name]):
        return UNDEFINED
    low, high = row.get(f"{name}_ci", (None, None))  # the paper has none
    return f"{row[name]:.3f} ({low:.3f}–{high:.3f})" if _is_defined(low) else f"{row[name]:.3f}"


def _with_holm(row: Mapping[str, Any], name: str) -> str:
    if not _is_defined(row[name]):
        return UNDEFINED
    return f"{p_value(row[name])} ({p_value(row[f'{name}_holm'])})"


def _signed(value: float | None) -> str:
    return f"{value:+.3f}" if _is_defined(value) else UNDEFINED


def _is_defined(value: float | None) -> TypeGuard[float]:
    """Whether there is a number: an undefined one is nan, and None in metrics.json."""
    return value is not None and math.isfinite(value)
