"""Cells as text, and text tables."""

import pytest

from core.metrics.intervals import Interval
from core.report import table
from core.report.table import Badge, Link, Table


def test_columns_are_aligned_and_numbers_stand_on_the_right():
    text = table.to_text(Table(("case", "voxels"), [("a", 7), ("longer", 1423)]))
    assert text.splitlines() == [
        "case    voxels",
        "------  ------",
        "a            7",
        "longer    1423",
    ]


def test_first_column_names_the_row_even_where_names_are_numbers():
    assert Table(("case", "n"), [("001", 1), ("002", 2)]).numeric() == [False, True]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ((0.5, 1.0), ["0.500", "1.000"]),
        ((0.5, 38.44), ["0.5", "38.4"]),
        ((0.5, 1234.5), ["0", "1234"]),
    ],
)
def test_floats_of_a_column_share_their_decimals(values, written):
    texts = Table(("case", "x"), [("a", values[0]), ("b", values[1])]).texts()
    assert [row[1] for row in texts] == written


def test_undefined_cells_are_a_dash():
    assert Table(("case", "x"), [("a", None), ("b", float("nan"))]).texts()[0][1] == "–"


def test_badges_and_links_are_their_words():
    assert Table(("case", "x"), [(Link("a", "section"), Badge("done", "good"))]).texts() == [
        ["a", "done"]
    ]


def test_a_table_without_rows_has_its_head():
    assert table.to_text(Table(("case", "x"), [])).splitlines() == ["case  x", "----  -"]


def test_refuses_a_row_of_another_length():
    with pytest.raises(ValueError, match="row 1 must have 2 cells; got 3"):
        Table(("case", "x"), [("a", 1), ("b", 1, 2)])


def test_p_values_end_at_a_thousandth():
    written = [table.p_value(p) for p in (0.0132, 0.001, 0.00099, 1.0, float("nan"))]
    assert written == ["p = 0.013", "p = 0.001", "p < 0.001", "p = 1.000", "–"]


def test_the_papers_table_1_is_written_as_printed():
    assert table.percent(128 / 136) == "94.1 %"
    assert table.mean_sd(0.5646, 0.2623) == "56.46 ± 26.23 %"


def test_proportion_carries_its_counts_and_its_wilson_interval():
    # scipy.stats.binomtest(128, 136).proportion_ci(method="wilson") is (0.8882, 0.9699).
    assert table.proportion(128, 136) == "94.1 % (128/136; 95 % CI 88.8–97.0)"


def test_intervals_have_three_decimals_or_one_of_a_percent():
    assert table.ci(Interval(0.8882, 0.9699)) == "95 % CI 0.888–0.970"
    assert table.ci(Interval(0.8882, 0.9699), in_percent=True) == "95 % CI 88.8–97.0"
    assert table.ci(Interval(float("nan"), float("nan"))) == "no interval"


def test_columns_are_keys_of_rows_or_made_of_them():
    columns = {"case": "id", "double": lambda row: 2 * row["n"], "other": "absent"}
    made = table.table_of(columns, [{"id": "a", "n": 1}, {"id": "b", "n": 2}])
    assert made == Table(("case", "double", "other"), [["a", 2, None], ["b", 4, None]])
    assert table.without_empty(made) == Table(["case", "double"], [["a", 2], ["b", 4]])


def test_undefined_numbers_are_a_dash():
    nan = float("nan")
    assert [table.percent(nan), table.mean_sd(nan, nan), table.proportion(0, 0)] == ["–"] * 3
    assert table.mean_sd(0.5, nan) == "50.00 %"
