"""Cases on a page: which come first, what they are called, and which have pictures."""

import re
from functools import partial

import pytest

from core.report import html
from core.report.cases import case_table, listed, results_page
from core.report.table import Badge, Link

NAN = float("nan")


def row(name, **values):
    return {"id": name, "status": "done", "remarks": [], "seconds": 1.0, **values}


ROWS = [row("a"), row("b"), row("c", status="failed"), row("d")]


def names(cases):
    return "".join(case["id"] for case in cases)


def test_the_lowest_quality_comes_first_equals_keep_their_order_and_nan_is_last():
    assert names(listed(ROWS)) == "abcd"
    cases = listed(ROWS, [0.5, NAN, 0.5, 0.0])
    assert names(cases) == "dacb"
    assert [ROWS[case["index"]]["id"] for case in cases] == list("dacb")
    assert names(listed(ROWS, [True, False, True, False])) == "bdac"


def test_only_the_first_finished_cases_have_a_section(monkeypatch):
    monkeypatch.setattr(html, "MAX_PICTURES", 2)
    cases = listed(ROWS, [3, 2, 0, 1])
    assert [(case["id"], case["has_section"]) for case in cases] == [
        ("c", False),
        ("d", True),
        ("b", True),
        ("a", False),
    ]
    table = case_table("case", {"word": lambda case: case["id"] * 2, "n": "n"}, cases)
    assert table.columns == ["case", "word"]  # none has an "n"
    assert table.rows == [["c", "cc"], [Link("d", "d"), "dd"], [Link("b", "b"), "bb"], ["a", "aa"]]


def test_titles_tell_rows_apart():
    of = partial(row, "a")
    rows = [of(group="x", fold=0), of(group="x", fold=1), of(group="y", fold=None)]
    assert [case["title"] for case in listed(rows)] == ["a x fold 0", "a x fold 1", "a y"]
    assert [case["title"] for case in listed(rows[:2])] == ["a fold 0", "a fold 1"]


@pytest.mark.parametrize("skipped", [[], [{"path": "x.txt", "reason": "is no image"}]])
def test_the_page_of_a_job_counts_decisions_and_its_links_lead_to_sections(skipped):
    odd = {"remarks": ["a.nii: no offset", "a.nii: no orientation"]}
    cases = [row("a", decision="sick", **odd), row("b", decision="well"), row("c", status="failed")]
    tones = {"sick": Badge("sick", "bad"), "well": Badge("well", "good"), "failed": Badge("failed")}
    page = results_page(
        {"cases": cases, "skipped": skipped, "manifest": {}},
        system="X",
        job="search",
        case="scan",
        labels={"sick": "called sick", "failed": "failed"},
        columns={"call": lambda case: tones[case["decision"]]},
        section=lambda case: html.details(case["id"], []),
        subtitle="Text.",
    )
    tiles = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    assert tiles == [("scans", "3"), ("called sick", "1"), ("failed", "1")]
    assert re.findall(r'href="#(s-.)"', page) == re.findall(r'id="(s-.)"', page) == ["s-a", "s-b"]
    assert page.count("a.nii: no offset; a.nii: no orientation") == 1
    assert ("1 files not used" in page) == bool(skipped)
