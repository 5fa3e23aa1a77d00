"""The tests of Sec. 2.6: of which pictures, over which groups, and what scipy says."""

import numpy as np
import pytest
from scipy import stats

from eusdaf.statistics import groups_of, statistics

RNG = np.random.default_rng(0)


def row(stage: str | None, **more):
    dsc = float(RNG.random())
    factors = {"stage": stage, "location": None, "category": None}
    return {"has_lesion": True, "dsc": dsc, "iou": dsc / (2 - dsc)} | (factors | more)


ROWS = [row(stage) for stage in ("T1", "T2", "T3") for _ in range(8)]
OTHERS = [
    row("T2", has_lesion=False, dsc=float("nan"), iou=float("nan")),
]


def values(stage: str, name: str = "dsc") -> list[float]:
    return [r[name] for r in ROWS if r["stage"] == stage]


def by_title(lines):
    return {(line["test"], line["value"], line["groups"]): line for line in lines}


def test_groups_hold_the_lesions_of_which_the_factor_is_known():
    groups = groups_of([*ROWS, *OTHERS, row(None)], "stage", "dsc")
    assert list(groups) == ["T1", "T2", "T3"]
    for stage, own in groups.items():
        np.testing.assert_array_equal(own, values(stage))
    assert groups_of(ROWS, "location", "dsc") == {}


@pytest.mark.parametrize("value", ["dsc", "iou"])
def test_every_test_is_scipys(value):
    tests = by_title(statistics([*ROWS, *OTHERS]))
    every = [r[value] for r in ROWS]
    normal = stats.shapiro(every)
    line = tests["Shapiro–Wilk", value, "all"]
    assert (line["statistic"], line["p"]) == pytest.approx((normal.statistic, normal.pvalue))
    assert line["num"] == len(ROWS)
    whole = stats.kruskal(*(values(stage, value) for stage in ("T1", "T2", "T3")))
    line = tests["Kruskal–Wallis", value, "stage"]
    assert (line["statistic"], line["p"]) == pytest.approx((whole.statistic, whole.pvalue))
    assert "p_holm" not in line


def test_every_pair_of_groups_is_tested_and_corrected_for_their_number():
    tests = by_title(statistics(ROWS))
    pairs = {("T1", "T2"), ("T1", "T3"), ("T2", "T3")}
    lines = {pair: tests["Kruskal–Wallis", "dsc", "stage: {} – {}".format(*pair)] for pair in pairs}
    for (a, b), line in lines.items():
        assert line["p"] == pytest.approx(stats.kruskal(values(a), values(b)).pvalue)
    raw = sorted(line["p"] for line in lines.values())
    # Holm: the smallest of three counts three times.
    smallest = min(lines.values(), key=lambda line: line["p"])
    assert smallest["p_holm"] == pytest.approx(min(1, 3 * raw[0]))
    assert all(line["p_holm"] >= line["p"] for line in lines.values())


def test_a_factor_of_one_group_is_not_tested():
    titles = {line["groups"] for line in statistics([row("T1") for _ in range(5)])}
    assert titles == {"all"}


def test_too_few_lesions_get_a_reason_in_place_of_a_number():
    lines = statistics([row("T1"), row("T2")])
    (line,) = [test for test in lines if test["test"] == "Shapiro–Wilk" and test["value"] == "dsc"]
    assert np.isnan(line["p"])
    assert line["reason"] == "needs 3 values, has 2"


def test_without_lesions_there_is_nothing_to_test():
    assert statistics(OTHERS) == []
