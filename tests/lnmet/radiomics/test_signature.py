"""Selecting and weighing features inside a training fold."""

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LassoCV, LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core.metrics.classification import auc
from lnmet.radiomics.config import SignatureConfig
from lnmet.radiomics.signature import (
    Signature,
    fit,
    log_odds,
    read_signature,
    score,
    write_signature,
)
from lnmet.radiomics.with_reading import fit_with_reading, score_with_reading
from tests.refusals import refused

CFG = SignatureConfig(num_penalties=30, smallest_penalty=0.1)


def cohort(
    seed: int, num: int, num_features: int, *, effect: float
) -> tuple[np.ndarray, np.ndarray]:
    """Features of different scales, the first two of which tell the status by `effect`."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(num, num_features))
    is_positive = np.arange(num) % 2 == 0
    features[:, :2] += effect * is_positive[:, None]
    return features * 10.0 ** (np.arange(num_features) % 7 - 3), is_positive


def fitted(features: np.ndarray, is_positive: np.ndarray, cfg: SignatureConfig = CFG) -> Signature:
    names = tuple(f"feature {column}" for column in range(features.shape[1]))
    return fit(features, is_positive, cfg, names=names)


def folds(is_positive: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    shuffled = StratifiedKFold(5, shuffle=True, random_state=0)
    return list(shuffled.split(is_positive, is_positive))


def cross_validated_auc(features: np.ndarray, is_positive: np.ndarray) -> float:
    """Mean over held-out folds, each scored by a signature of the others."""
    aucs = []
    for train, test in folds(is_positive):
        signature = fitted(features[train], is_positive[train])
        aucs.append(auc(score(signature, features[test]), is_positive[test]))
    return float(np.mean(aucs))


def test_a_leak_is_seen_and_the_fold_has_none():
    """Noise tells nothing; selected by the statuses of all patients, it looks as if it did."""
    leaky, honest = [], []
    for seed in range(3):
        features, is_positive = cohort(seed, 80, 200, effect=0)
        correlations = np.corrcoef(features.T, is_positive)[-1, :-1]
        selected = np.argsort(-np.abs(correlations))[:20]
        leaky.append(cross_validated_auc(features[:, selected], is_positive))
        honest.append(cross_validated_auc(features, is_positive))
    assert np.mean(leaky) > 0.75
    # 3 × 80 held-out patients: the standard error of an AUC of 0.5 is 0.037.
    assert np.mean(honest) == pytest.approx(0.5, abs=3 * 0.037)


def test_what_tells_the_status_is_kept_and_tells_it_of_others():
    features, is_positive = cohort(0, 100, 60, effect=1.5)
    train, test = folds(is_positive)[0]
    signature = fitted(features[train], is_positive[train])
    assert {"feature 0", "feature 1"} <= set(signature.names)
    # Two normal features 1.5 standard deviations apart: AUC = Φ(1.5) = 0.93.
    assert auc(score(signature, features[test]), is_positive[test]) > 0.8


def test_patients_who_are_held_out_change_nothing():
    features, is_positive = cohort(1, 60, 40, effect=1.0)
    train, test = folds(is_positive)[0]
    before = fitted(features[train], is_positive[train])
    features[test], is_positive[test] = 1e6, ~is_positive[test]
    after = fitted(features[train], is_positive[train])
    assert before.names == after.names
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_is_the_pipeline_of_scikit_learn():
    features, is_positive = cohort(2, 90, 50, effect=1.0)
    signature = fitted(features, is_positive, replace(CFG, num_folds=5))
    standard = StandardScaler().fit_transform(features)
    largest = np.abs(standard.T @ (is_positive - is_positive.mean())).max() / 90
    inner = StratifiedKFold(5, shuffle=True, random_state=0).split(features, is_positive)
    lasso = LassoCV(alphas=largest * np.geomspace(1, 0.1, 30), cv=inner)
    lasso.fit(standard, is_positive.astype(float))
    kept = np.flatnonzero(lasso.coef_)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=np.inf, tol=1e-8)).fit(
        features[:, kept], is_positive
    )
    np.testing.assert_array_equal(signature.columns, kept)
    assert signature.penalty == pytest.approx(lasso.alpha_)
    # Two optimizers of one likelihood, each to its own tolerance.
    np.testing.assert_allclose(
        score(signature, features), pipeline.predict_proba(features[:, kept])[:, 1], atol=1e-4
    )


def test_features_of_any_unit_give_the_same_scores():
    features, is_positive = cohort(3, 60, 30, effect=1.0)
    scaled = features * 1e4 + 7.0
    signature, other = fitted(features, is_positive), fitted(scaled, is_positive)
    assert signature.names == other.names
    np.testing.assert_allclose(score(signature, features), score(other, scaled), atol=1e-6)


def test_features_that_do_not_vary_or_are_missing_are_dropped():
    features, is_positive = cohort(4, 60, 12, effect=1.5)
    features[:, 3] = 0.1 + 1e-14 * is_positive  # as rounding does
    features[5, 4] = np.nan
    features[:, 5] = np.inf
    signature = fitted(features, is_positive)
    assert not {3, 4, 5} & set(signature.columns)
    assert np.isfinite(score(signature, features)).all()


def test_a_missing_value_of_a_new_patient_counts_as_the_mean():
    features, is_positive = cohort(5, 60, 12, effect=1.5)
    signature = fitted(features, is_positive)
    new = features[:2].copy()
    new[0, signature.columns[0]] = np.nan
    new[1, signature.columns] = np.nan
    of_mean = new.copy()
    of_mean[:, signature.columns] = np.where(
        np.isfinite(new[:, signature.columns]), new[:, signature.columns], signature.mean
    )
    np.testing.assert_allclose(score(signature, new), score(signature, of_mean))
    assert log_odds(signature, new)[1] == pytest.approx(signature.intercept)


@pytest.mark.parametrize("num_features", [0, 4])
def test_where_nothing_is_kept_everyone_has_the_share_of_positives(num_features: int):
    is_positive = np.arange(40) < 10
    signature = fitted(np.ones((40, num_features)), is_positive)
    assert signature.names == ()
    np.testing.assert_allclose(score(signature, np.ones((3, num_features))), 0.25)


def test_few_of_a_status_are_fewer_folds():
    features, _ = cohort(6, 30, 10, effect=0)
    is_positive = np.arange(30) < 3
    features[:, 0] += 3 * is_positive
    assert np.isfinite(score(fitted(features, is_positive), features)).all()


def test_separable_patients_have_a_ridge():
    features, is_positive = cohort(7, 40, 10, effect=8.0)
    assert fitted(features, is_positive).ridge == CFG.ridge


def test_a_seed_gives_the_same_signature():
    features, is_positive = cohort(8, 50, 30, effect=0.7)
    for one, other in zip(
        fitted(features, is_positive), fitted(features, is_positive), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_the_smallest_penalty_is_told(caplog: pytest.LogCaptureFixture):
    features, is_positive = cohort(9, 60, 4, effect=2.0)
    with caplog.at_level(logging.WARNING):
        fitted(features, is_positive, replace(CFG, smallest_penalty=0.9))
    assert "smallest" in caplog.text


def test_a_signature_is_written_and_read(tmp_path: Path):
    features, is_positive = cohort(10, 60, 30, effect=1.0)
    signature, path = fitted(features, is_positive), tmp_path / "signature.json"
    write_signature(path, signature)
    again = read_signature(path)
    assert again.names == signature.names
    np.testing.assert_array_equal(score(again, features), score(signature, features))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "ridge": None, "more": 1}))
    with refused(path, "no radiomics signature", hint="fit it again"):
        read_signature(path)


def test_scores_need_no_scikit_learn(monkeypatch: pytest.MonkeyPatch):
    features, is_positive = cohort(11, 40, 10, effect=1.0)
    signature = fitted(features, is_positive)
    for module in ("sklearn", "sklearn.linear_model", "sklearn.model_selection"):
        monkeypatch.setitem(sys.modules, module, None)
    assert score(signature, features).shape == (40,)
    with refused(None, "scikit-learn", hint="pip install"):
        fitted(features, is_positive)


def test_what_cannot_be_learned_from_is_refused():
    features, is_positive = cohort(12, 20, 5, effect=1.0)
    one = np.arange(20) == 0
    with refused(None, "two patients of each status", 1, hint="fewer folds"):
        fitted(features, one)
    with pytest.raises(ValueError, match="4 names for 5 features"):
        fit(features, is_positive, CFG, names=("a", "b", "c", "d"))
    with pytest.raises(ValueError, match="fitted on 5 features; got 4"):
        score(fitted(features, is_positive), features[:, :4])


def test_a_reading_that_tells_more_weighs_more():
    random = np.random.default_rng(13)
    is_positive = np.arange(200) % 2 == 0
    signature = random.normal(size=200) + 0.3 * is_positive
    reading = np.where(random.random(200) < 0.8, is_positive, ~is_positive)
    model = fit_with_reading(signature, reading, is_positive, CFG)
    scores = score_with_reading(model, signature, reading)
    assert auc(scores, is_positive) > max(auc(signature, is_positive), 0.75)
    # Log odds ratio of 4 to 1 against 1 to 4; of 200 patients, its standard error is 0.35.
    assert model.weights[1] == pytest.approx(2 * np.log(4), abs=3 * 0.35)


def test_beside_a_constant_signature_the_reading_alone_tells():
    reading = np.repeat([True, False], [10, 12])
    is_positive = np.concatenate([np.arange(10) < 7, np.arange(12) < 3])
    model = fit_with_reading(np.full(22, -0.4), reading, is_positive, CFG)
    scores = score_with_reading(model, np.full(22, -0.4), reading)
    # The ridge moves log-odds by λ w over the information, here less than 1e-3.
    np.testing.assert_allclose(scores, np.where(reading, 0.7, 0.25), atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_folds": 1}, "num_folds must be at least 2; got 1"),
        ({"num_penalties": 1}, "num_penalties must be at least 2; got 1"),
        ({"smallest_penalty": 1.0}, "smallest_penalty must lie between 0 and 1; got 1.0"),
        ({"ridge": 0.0}, "ridge must be positive; got 0.0"),
    ],
)
def test_numbers_out_of_range_are_refused(change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        SignatureConfig(**change)
