"""Tables VI and VII of hand-made answers: figures by formula, paired cases, folds, ensembles."""

import numpy as np
import pytest

from core.metrics.compare import holm
from core.metrics.diagnosis import TESTS, Answers, compare_decisions
from lnmet.status.measures import (
    MEASURES,
    PAPER_TABLE_6,
    PAPER_TABLE_7,
    SEED,
    compared,
    ensemble,
    measured,
)
from lnmet.status.methods import CT_REPORTED, METHODS, NODES, OURS, RADIOMICS


def row(id_: int, status: bool, scores: dict[str, float], **more) -> dict:
    """An answer of methods that call a patient from 0.5 on, or 100 mm³."""
    limits = {NODES: 100.0}
    calls = {m: s >= limits.get(m, 0.5) for m, s in scores.items()}
    own = {"id": f"{id_}", "patient": f"{id_}", "status": status, "scores": scores, "calls": calls}
    return own | more


# Three positive patients and two negative ones.
TRUTH = (True, True, True, False, False)
SCORES = (0.9, 0.6, 0.4, 0.7, 0.1)
ROWS = [row(i, t, {OURS: s}) for i, (t, s) in enumerate(zip(TRUTH, SCORES, strict=True))]


def test_figures_of_a_method_are_those_of_its_calls_and_scores():
    (ours,) = measured(ROWS)
    assert (ours["method"], ours["num_cases"]) == (OURS, 5)
    assert ours["sensitivity"] == pytest.approx(2 / 3)
    assert ours["specificity"] == pytest.approx(1 / 2)
    assert ours["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert ours["accuracy"] == pytest.approx(3 / 5)
    # Of six pairs of a positive and a negative patient, four are in order.
    assert ours["auc"] == pytest.approx(4 / 6)
    for name in MEASURES:
        low, high = ours[f"{name}_ci"]
        assert low <= ours[name] <= high
        assert f"{name}_of_folds" not in ours


def test_folds_are_pooled_and_averaged_where_they_are_defined():
    """The third fold has no negative patient: its sensitivity counts, its specificity does not."""
    folds = (0, 1, 2, 0, 1)
    (ours,) = measured([r | {"fold": f} for r, f in zip(ROWS, folds, strict=True)])
    assert ours["sensitivity"] == pytest.approx(2 / 3)
    assert ours["sensitivity_of_folds"] == pytest.approx((1 + 1 + 0) / 3)
    assert ours["specificity_of_folds"] == pytest.approx((0 + 1) / 2)
    assert ours["accuracy_of_folds"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert ours["auc_of_folds"] == pytest.approx((1 + 1) / 2)


def test_a_fold_that_defines_nothing_leaves_the_mean_undefined():
    (ours,) = measured([r | {"fold": 0} for r in ROWS[:3]])
    assert np.isnan(ours["specificity_of_folds"])
    assert np.isnan(ours["auc"])


def test_a_method_counts_on_the_cases_that_it_answered_in_the_order_of_table_6():
    rows = [*ROWS[:-1], row(4, False, {OURS: 0.1, NODES: 500.0})]
    rows[0] = row(0, True, {OURS: 0.9, NODES: 50.0})
    rows[1] = rows[1] | {"calls": rows[1]["calls"] | {CT_REPORTED: True}}
    figures = {r["method"]: r for r in measured(rows)}
    assert list(figures) == [CT_REPORTED, NODES, OURS]
    assert [figures[m]["num_cases"] for m in figures] == [1, 2, 5]
    assert (figures[NODES]["sensitivity"], figures[NODES]["specificity"]) == (0, 0)
    assert np.isnan(figures[CT_REPORTED]["auc"])
    assert figures[CT_REPORTED]["sensitivity"] == 1


def many(num: int = 24) -> list[dict]:
    """Ours is mostly right, nodes half of the time and not for everybody, radiomics seldom."""
    rng, rows = np.random.default_rng(0), []
    for i in range(num):
        status = i % 2 == 0
        sign = 1 if status else -1
        scores = {OURS: 0.5 + sign * rng.uniform(-0.1, 0.5)}
        scores[RADIOMICS] = 0.5 + sign * rng.uniform(-0.5, 0.2)
        if i >= 4:
            scores[NODES] = 100.0 + sign * rng.uniform(-60, 60)
        rows.append(row(i, status, scores))
    return rows


def test_ours_is_compared_with_each_on_the_cases_of_both():
    rows = many()
    by_name = {r["name"]: r for r in compared(rows)}
    assert list(by_name) == [RADIOMICS, NODES]
    for name, own in ((RADIOMICS, rows), (NODES, rows[4:])):
        truth = np.array([r["status"] for r in own])
        ours, other = (
            Answers(np.array([r["scores"][m] for r in own]), np.array([r["calls"][m] for r in own]))
            for m in (OURS, name)
        )
        patients = [r["patient"] for r in own]
        (alone,) = compare_decisions(ours, {name: other}, truth, groups=patients, seed=SEED)
        for test in TESTS:
            assert by_name[name][test] == pytest.approx(alone[test], nan_ok=True)


def test_holm_is_over_the_methods_test_by_test():
    rows = compared(many())
    for test in TESTS:
        raised = [r[f"{test}_holm"] for r in rows]
        assert raised == pytest.approx(holm([r[test] for r in rows]), nan_ok=True)
    least = min(rows, key=lambda r: r["p_permutation"])
    assert least["p_permutation_holm"] == pytest.approx(min(1, 2 * least["p_permutation"]))


def test_a_report_without_scores_is_compared_by_its_decisions():
    rows = [r | {"calls": r["calls"] | {CT_REPORTED: not r["status"]}} for r in many()]
    report = next(r for r in compared(rows) if r["name"] == CT_REPORTED)
    assert np.isfinite(report["p_mcnemar"])
    assert np.isnan(report["p_delong"])
    assert np.isnan(report["p_delong_holm"])


def test_without_ours_or_another_nothing_is_compared():
    assert compared([row(0, True, {NODES: 1.0}), row(1, False, {NODES: 2.0})]) == []
    assert compared(ROWS) == []
    assert (measured([]), compared([])) == ([], [])


def test_an_ensemble_averages_scores_and_thresholds():
    """0.4 and 0.7 against 0.5 and 0.6: their means are 0.55 each, which is positive."""
    folds = [[row(0, True, {OURS: 0.4, NODES: 90.0})], [row(0, True, {OURS: 0.7, NODES: 150.0})]]
    thresholds = [{OURS: 0.5, NODES: 100.0}, {OURS: 0.6, NODES: 150.0}]
    (both,) = ensemble(folds, thresholds)
    assert both["scores"] == pytest.approx({OURS: 0.55, NODES: 120.0})
    assert both["calls"] == {OURS: True, NODES: False}


def test_an_ensemble_has_the_methods_of_all_folds_and_the_report_of_one():
    folds = [[row(0, True, {OURS: 0.4, NODES: 90.0})], [row(0, True, {OURS: 0.7})]]
    folds[0][0]["calls"][CT_REPORTED] = False
    (both,) = ensemble(folds, [{OURS: 0.5, NODES: 100.0}, {OURS: 0.6}])
    assert list(both["scores"]) == [OURS]
    assert both["calls"] == {OURS: True, CT_REPORTED: False}
    assert both["status"] is True


def test_the_papers_tables_name_its_methods_in_their_order():
    assert list(PAPER_TABLE_6) == list(METHODS.values())
    for table in PAPER_TABLE_7:
        assert list(table) == [name for name in PAPER_TABLE_6 if name in table]
    for figures in (*PAPER_TABLE_6.values(), *(f for t in PAPER_TABLE_7 for f in t.values())):
        balanced, _, _, sensitivity, specificity = figures
        # As printed, means of folds that are rounded.
        assert balanced == pytest.approx((sensitivity + specificity) / 2, abs=0.002)
