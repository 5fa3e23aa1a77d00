"""Rows to summaries."""

import json
import math

import numpy as np
import pytest

from core import json_io
from core.metrics import rows as r

ROWS = [
    {"case": "a", "tumor_dsc": 0.5, "fold": 0},
    {"case": "b", "tumor_dsc": float("nan"), "fold": 0},
    {"case": "c", "tumor_dsc": 0.9, "fold": 1},
    {"case": "d", "error": "no such file"},
]


def test_summary_is_over_cases_not_over_averages():
    values = [0.2, 0.4, 0.9]
    rows = [{"dsc": v, "fold": f} for v, f in zip(values, [0, 0, 1], strict=True)]
    summary = r.summarize(rows, ["dsc"])
    assert summary["dsc"] == np.mean(values)
    assert summary["dsc_sd"] == np.std(values, ddof=1)


def test_undefined_values_are_left_out_and_counted():
    summary = r.summarize(ROWS, ["tumor_dsc"])
    assert summary["tumor_dsc"] == (0.5 + 0.9) / 2
    assert summary["tumor_dsc_num"] == 2
    assert summary["tumor_dsc_num_undefined"] == 2


def test_summary_of_nothing_is_undefined():
    summary = r.summarize([], ["dsc"])
    assert math.isnan(summary["dsc"])
    assert math.isnan(summary["dsc_sd"])
    assert summary["dsc_num"] == summary["dsc_num_undefined"] == 0


def test_deviation_of_one_case_is_undefined():
    assert math.isnan(r.summarize([{"dsc": 0.5}], ["dsc"])["dsc_sd"])


def test_null_read_back_from_json_is_undefined_again():
    back = [json.loads(json_io.line(row)) for row in ROWS]
    np.testing.assert_array_equal(r.column(back, "tumor_dsc"), r.column(ROWS, "tumor_dsc"))


def test_refuses_a_column_that_no_row_has():
    with pytest.raises(ValueError, match=r"no row has a column 'tumour_dsc'; .*'tumor_dsc'"):
        r.summarize(ROWS, ["tumour_dsc"])
