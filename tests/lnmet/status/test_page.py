"""Tables of the status: intervals, folds, the paper, tests; and what is undefined is no number."""

import re

import pytest

from core import json_io
from core.report import html
from core.report.table import to_text
from lnmet.status.curves import status_figures
from lnmet.status.measures import PAPER_TABLE_6, compared, measured
from lnmet.status.methods import CT_REPORTED, METHODS, NODES, OURS
from lnmet.status.page import (
    MEASURES,
    TESTS,
    TITLES,
    difference_table,
    status_sections,
    status_table,
)
from tests.lnmet.status.test_measures import ROWS, many, row


def status_of(rows) -> dict:
    return {"methods": measured(rows), "comparisons": compared(rows), "rows": rows}


def page(status, **words) -> str:
    """HTML without its pictures, whose letters are any."""
    text = html.page("status", status_sections("Table VI", status, **words))
    return re.sub(r"base64,[^\"]*", "", text)


def cells(table) -> dict[str, dict[str, object]]:
    """Cells by name of the row and heading."""
    return {r[0]: dict(zip(table.columns, r, strict=True)) for r in table.rows}


def below(table, method: str, num: int) -> tuple[object, object]:
    """Name and AUC of a row under a method's."""
    row = table.rows[[r[0] for r in table.rows].index(method) + num]
    return row[0], row[table.columns.index("AUC")]


def test_a_figure_stands_with_its_interval_and_the_mean_of_folds():
    methods = measured([r | {"fold": i // 2 % 2} for i, r in enumerate(many())])
    ours = next(m for m in methods if m["method"] == OURS)
    low, high = ours["auc_ci"]
    text = f"{ours['auc']:.3f} ({low:.3f}–{high:.3f})"
    assert cells(status_table(methods))[OURS]["AUC"] == text
    assert below(status_table(methods), OURS, 1) == ("mean of folds", f"{ours['auc_of_folds']:.3f}")
    alone = status_table(measured(many()))
    assert cells(alone)[OURS]["AUC"] == text
    assert "mean of folds" not in {row[0] for row in alone.rows}


def test_the_papers_figures_stand_below_ours():
    table = status_table(measured(many()), PAPER_TABLE_6)
    names = [r[0] for r in table.rows]
    for method in (OURS, NODES):
        of_paper = PAPER_TABLE_6[METHODS[method]]
        printed = [f"{figure:.3f}" for figure in of_paper]
        row = table.rows[names.index(method) + 1]
        assert (row[0], list(row[2:])) == ("in the paper", printed)
        assert below(table, method, 1) == ("in the paper", f"{of_paper[1]:.3f}")
    assert len(TITLES) == len(MEASURES)
    assert [r[0] for r in status_table(measured(many())).rows] == names[::2]


def test_a_comparison_stands_with_its_difference_and_holms_p():
    status = status_of(many())
    table = cells(difference_table(status))
    assert list(table) == ["radiomics", NODES]
    first = status["comparisons"][0]
    own = table["radiomics"]
    assert own["balanced accuracy"] == f"{first['balanced_accuracy_difference']:+.3f}"
    for heading, name in TESTS.items():
        for p in (first[name], first[f"{name}_holm"]):
            assert ("p < 0.001" if p < 0.001 else f"p = {p:.3f}") in own[heading]


ONE_STATUS = [r | {"fold": 0} for r in ROWS[:3]]
WITH_REPORT = [
    r | {"fold": i % 2, "calls": r["calls"] | {CT_REPORTED: True}} for i, r in enumerate(many())
]
SAME_SCORE = [row(i, i < 3, {OURS: 0.5, NODES: 0.0}) for i in range(6)]
SOME_ONLY = [*ROWS, row(9, True, {NODES: 200.0})]


@pytest.mark.parametrize(
    "rows", [ONE_STATUS, WITH_REPORT, SAME_SCORE, SOME_ONLY, ROWS[:1], []], ids=lambda r: len(r)
)
def test_what_is_undefined_is_no_number_on_paper(rows):
    """As measured, and as metrics.json has it."""
    for status in (status_of(rows), json_io.plain(status_of(rows))):
        text = page(status, paper=PAPER_TABLE_6, note="beside")
        assert not re.search(r"\bnan\b", text)
        assert "nan" not in to_text(status_table(status["methods"], PAPER_TABLE_6))


def test_figures_are_of_the_cases_that_every_method_answered():
    figures = status_figures(many())
    assert [figure.title for figure in figures] == [
        *("ROC", "Precision and recall", "Calibration", "Decision curves")
    ]
    # Nodes answer all but the first four.
    assert all("20 cases that every method answered, 10 positive" in f.body for f in figures)
    assert [f.title for f in status_figures([row(i, i < 2, {NODES: i}) for i in range(4)])] == [
        *("ROC", "Precision and recall")
    ]
    assert status_figures(ROWS[:3]) == []
    assert status_figures([row(0, True, {OURS: 0.9}), row(1, False, {NODES: 9.0})]) == []


def test_nobody_who_told_the_status_leaves_no_section():
    assert status_sections("Table VI", status_of([])) == []


def test_every_method_has_a_line():
    rows = [row(i, i < 4, {m: (i % 3) / 2 for m in METHODS if m != CT_REPORTED}) for i in range(8)]
    rows = [r | {"calls": r["calls"] | {CT_REPORTED: True}} for r in rows]
    assert [r[0] for r in status_table(measured(rows)).rows] == list(METHODS)
