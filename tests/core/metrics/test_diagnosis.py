"""Figures and comparisons of systems are those of the functions that they are made of."""

import numpy as np
import pytest
from sklearn import metrics as sk

from core.metrics import weighted
from core.metrics.compare import bootstrap_wilcoxon, holm, mcnemar
from core.metrics.delong import delong_test
from core.metrics.diagnosis import TESTS, Answers, compare_decisions, diagnostic_row
from core.metrics.intervals import stratified_interval
from core.metrics.permutation import permutation_test

NUM = 40


def _cohort():
    rng = np.random.default_rng(0)
    is_positive = np.arange(NUM) < 18
    scores = rng.normal(size=(3, NUM)) + np.array([[1.5], [1.0], [0.5]]) * is_positive
    return [Answers(row, row > 0.5) for row in scores], is_positive


def test_a_row_has_the_figures_of_scikit_learn():
    (ours, *_), truth = _cohort()
    row = diagnostic_row(ours, truth, seed=0)
    expected = {
        "balanced_accuracy": sk.balanced_accuracy_score(truth, ours.decisions),
        "auc": sk.roc_auc_score(truth, ours.scores),
        "accuracy": sk.accuracy_score(truth, ours.decisions),
        "sensitivity": sk.recall_score(truth, ours.decisions),
        "specificity": sk.recall_score(~truth, ~ours.decisions),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-12)
    assert set(row) == set(expected) | {f"{name}_ci" for name in expected}


def test_a_row_has_stratified_intervals_of_patients():
    (ours, *_), truth = _cohort()
    patients = np.arange(NUM) // 2
    row = diagnostic_row(ours, truth, groups=patients, seed=4)
    drawn = {"groups": patients, "seed": 4}
    assert row["auc_ci"] == stratified_interval(weighted.auc, ours.scores, truth, **drawn)
    assert row["sensitivity_ci"] == stratified_interval(
        weighted.sensitivity, ours.decisions, truth, **drawn
    )


def test_a_system_without_scores_has_no_area_and_all_else():
    (ours, other, _), truth = _cohort()
    reader = other._replace(scores=None)
    row = diagnostic_row(reader, truth, seed=0)
    assert np.isnan([row["auc"], *row["auc_ci"]]).all()
    assert row == diagnostic_row(other, truth, seed=0) | {n: row[n] for n in ("auc", "auc_ci")}
    for first, second in ((ours, reader), (reader, ours)):
        (row,) = compare_decisions(first, {"reader": second}, truth, seed=0)
        missing = {"p_delong", "p_permutation_auc"}
        assert row["reasons"] == dict.fromkeys(missing, "a system gives no scores")
        assert {test for test in TESTS if np.isnan(row[test])} == missing
        assert np.isnan(row["auc_difference"])


def test_systems_are_compared_by_each_test_and_corrected_over_all():
    (ours, *others), truth = _cohort()
    rows = compare_decisions(ours, dict(zip("ab", others, strict=True)), truth, seed=2)
    first = others[0]
    decisions = (ours.decisions, first.decisions, truth)
    assert rows[0]["name"] == "a"
    assert rows[0]["p_wilcoxon"] == (
        bootstrap_wilcoxon(weighted.balanced_accuracy, *decisions, seed=2).p_value
    )
    balanced = permutation_test(weighted.balanced_accuracy, *decisions, seed=2)
    assert rows[0]["p_permutation"] == balanced.p_value
    assert rows[0]["balanced_accuracy_difference"] == pytest.approx(balanced.statistic, rel=1e-12)
    assert rows[0]["p_mcnemar"] == mcnemar(*(d == truth for d in decisions[:2])).p_value
    assert rows[0]["p_delong"] == delong_test(ours.scores, first.scores, truth).p_value
    for test in TESTS:
        assert [row[f"{test}_holm"] for row in rows] == holm([row[test] for row in rows])


def test_cases_of_a_patient_are_resampled_and_swapped_together():
    (ours, other, _), truth = _cohort()
    alone = compare_decisions(ours, {"other": other}, truth, seed=0)[0]
    ours, other = (Answers(*(np.repeat(v, 4) for v in system)) for system in (ours, other))
    patients = [f"p{number:02d}" for number in range(NUM) for _ in range(4)]
    whole = compare_decisions(ours, {"other": other}, np.repeat(truth, 4), groups=patients, seed=0)
    for test in ("p_wilcoxon", "p_permutation", "p_permutation_auc"):
        assert whole[0][test] == pytest.approx(alone[test], rel=1e-12)


def test_areas_are_compared_whatever_the_units_of_scores():
    (ours, other, _), truth = _cohort()
    volumes = other._replace(scores=1000 * np.exp(other.scores))
    as_scores, as_volumes = (
        compare_decisions(ours, {"other": system}, truth, seed=0)[0] for system in (other, volumes)
    )
    assert as_scores == as_volumes


def test_refuses_answers_that_are_not_one_per_case_or_no_decisions():
    (ours, *_), truth = _cohort()
    with pytest.raises(ValueError, match=r"decisions \(39,\), is_positive \(40,\)"):
        diagnostic_row(ours._replace(decisions=ours.decisions[1:]), truth, seed=0)
    with pytest.raises(ValueError, match="scores must be finite; got nan at case 0"):
        diagnostic_row(ours._replace(scores=np.full(NUM, np.nan)), truth, seed=0)
