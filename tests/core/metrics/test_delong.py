"""DeLong's areas and tests: a published example, all pairs, and what cannot be tested."""

import numpy as np
import pytest
from scipy.stats import norm

from core.metrics import classification
from core.metrics.delong import delong, delong_test, delong_test_unpaired

# 43 of the 49 patients of DeLong et al. 1988 with all three tests, as the SAS/STAT User's Guide
# lists them (LOGISTIC procedure, "Comparing Receiver Operating Characteristic Curves"): albumin,
# total protein, K-G score, and whether surgery helped.
ALBUMIN = """3.0 3.2 3.9 2.8 3.2 0.9 2.5 1.6 3.8 3.7 3.2 3.8 4.1 3.6 4.3 3.6 2.3 4.2 4.0 3.5 3.8 3.0
4.5 3.7 3.1 4.1 4.3 4.3 3.2 2.6 3.3 1.7 3.7 3.3 4.2 3.5 2.9 2.1 2.8 4.0 3.3 3.7 3.6"""
PROTEIN = """5.8 6.3 6.8 4.8 5.8 4.0 5.7 5.6 5.7 6.7 5.4 6.6 6.6 5.7 7.0 6.7 4.4 7.6 6.6 5.8 6.8 4.7
7.4 7.4 6.6 8.2 7.0 6.5 5.1 4.7 6.8 4.0 6.1 6.3 7.7 6.2 5.7 4.8 6.2 7.0 5.7 6.9 6.6"""
K_G = """10 5 3 6 3 5 8 5 5 6 4 6 5 5 4 4 6 4 6 6 7 8 5 5 6 6 5 4 5 6 6 7 5 7 6 5 9 7 8 7 6 5 5"""
HELPED = "0110100111111110100110111111110011110101111"
SCORES = np.array([ALBUMIN.split(), PROTEIN.split(), K_G.split()], float) * [[1], [1], [-1]]


def _cohort(num=60, seed=0, decimals=1):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(num) < 0.4
    shared = rng.normal(size=num)
    return np.round(rng.normal(size=(3, num)) + shared + is_positive, decimals), is_positive


def test_areas_of_delongs_patients_are_those_published():
    is_positive = np.array(list(HELPED)) == "1"
    areas, covariance = delong(SCORES, is_positive)
    errors = np.sqrt(np.diag(covariance))
    reach = norm.ppf(0.975) * errors
    published = [
        [0.7366, 0.0927, 0.5549, 0.9182],
        [0.6478, 0.1000, 0.4518, 0.8439],
        [0.7258, 0.1028, 0.5243, 0.9273],
    ]
    ours = np.stack([areas, errors, areas - reach, areas + reach], axis=1)
    np.testing.assert_allclose(ours, published, atol=0.5e-4)  # printed with four decimals


def test_differences_between_delongs_tests_are_those_published():
    is_positive = np.array(list(HELPED)) == "1"
    albumin, protein, k_g = SCORES
    for first, difference, error, p in (
        (albumin, 0.0108, 0.0953, 0.9102),
        (protein, -0.0780, 0.1046, 0.4561),
    ):
        test = delong_test(first, k_g, is_positive)
        assert test.p_value == pytest.approx(p, abs=0.5e-4)
        # A quotient of numbers with four decimals.
        assert test.statistic == pytest.approx(difference / error, rel=0.01)
        assert test.num == 43
    areas, covariance = delong(SCORES, is_positive)
    contrast = np.array([[1, 0, -1], [0, 1, -1]])
    differences, variance = contrast @ areas, contrast @ covariance @ contrast.T
    chi2 = differences @ np.linalg.solve(variance, differences)
    assert chi2 == pytest.approx(2.5340, abs=0.5e-4)


def test_covariance_is_that_over_all_pairs_of_cases():
    scores, is_positive = _cohort()
    x, y = scores[:, is_positive, None], scores[:, None, ~is_positive]
    wins = (x > y) + 0.5 * (x == y)
    of_positive, of_negative = wins.mean(axis=2), wins.mean(axis=1)
    areas, covariance = delong(scores, is_positive)
    expected = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        for shares in (of_positive, of_negative):
            a, b = shares[i] - areas[i], shares[j] - areas[j]
            expected[i, j] += (a @ b) / (a.size - 1) / a.size
    # Midranks against pairs, float64.
    np.testing.assert_allclose(areas, wins.mean(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(covariance, expected, rtol=1e-10)


def test_paired_test_is_that_of_the_covariance():
    scores, is_positive = _cohort()
    areas, covariance = delong(scores, is_positive)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    test = delong_test(scores[0], scores[1], is_positive)
    z = (areas[0] - areas[1]) / np.sqrt(variance)
    assert test.statistic == pytest.approx(z, rel=1e-10)
    assert test.p_value == pytest.approx(2 * norm.cdf(-abs(z)), rel=1e-10)
    swapped = delong_test(scores[1], scores[0], is_positive)
    assert swapped == test._replace(statistic=-test.statistic)


def test_unpaired_test_adds_the_variances():
    (first, *_), truth = _cohort()
    (second, *_), other_truth = _cohort(50, seed=1)
    (a, va), (b, vb) = (delong(s[None], t) for s, t in ((first, truth), (second, other_truth)))
    test = delong_test_unpaired(first, truth, second, other_truth)
    assert test.statistic == pytest.approx(float((a - b)[0] / np.sqrt(va + vb)[0, 0]), rel=1e-12)
    assert test.num == 110


def test_areas_are_those_of_the_classifier_and_ignore_a_monotone_map():
    scores, is_positive = _cohort()
    areas, covariance = delong(scores, is_positive)
    expected = [classification.auc(row, is_positive) for row in scores]
    np.testing.assert_allclose(areas, expected, rtol=1e-12)
    mapped = delong(np.exp(scores), is_positive)
    assert (mapped[0] == areas).all()
    assert (mapped[1] == covariance).all()


TRUTH = np.array([True, True, False, False])
PERFECT, WRONG = TRUTH.astype(float), -TRUTH.astype(float)
NO_VARIANCE = "no case tells how much the areas vary"


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (delong_test(PERFECT, 2 * PERFECT, TRUTH), NO_VARIANCE),
        (delong_test(PERFECT, WRONG, TRUTH), NO_VARIANCE),
        (delong_test(PERFECT[1:], PERFECT[1:] - 1, TRUTH[1:]), "needs 2 cases of each class"),
        (delong_test_unpaired(PERFECT, TRUTH, PERFECT, TRUTH), NO_VARIANCE),
        (delong_test(PERFECT[:2], WRONG[:2], TRUTH[:2]), "needs 2 cases of each class"),
    ],
    ids=["both_perfect", "perfect_and_wrong", "one_positive", "unpaired_perfect", "one_class"],
)
def test_what_cannot_be_tested_is_undefined_and_says_why(result, reason):
    assert np.isnan([result.statistic, result.p_value]).all()
    assert result.reason == reason


def test_equal_rankings_are_untested_whatever_their_scores():
    (scores, *_), is_positive = _cohort(201, seed=3)
    test = delong_test(scores, 7 * scores + 1e-3, is_positive)
    assert test.reason == NO_VARIANCE


def test_one_class_has_no_area():
    areas, covariance = delong(PERFECT[None, :2], TRUTH[:2])
    assert np.isnan(areas).all()
    assert np.isnan(covariance).all()


def test_refuses_scores_of_other_cases_or_that_are_not_numbers():
    with pytest.raises(ValueError, match="scores must be finite; got nan at case 1"):
        delong(np.array([[0.0, np.nan]]), np.array([True, False]))
    with pytest.raises(ValueError, match=r"scores \(3,\), is_positive \(4,\)"):
        delong_test(PERFECT, PERFECT[1:], TRUTH)


def test_results_are_plain_numbers():
    (first, second, _), truth = _cohort()
    for result in (
        delong_test(first, second, truth),
        delong_test_unpaired(first, truth, second, truth),
    ):
        assert [type(value) for value in result] == [float, float, int, str]


@pytest.mark.parity
@pytest.mark.parametrize("decimals", [1, 12], ids=["ties", "no_ties"])
def test_delong_is_that_of_mlstatkit(decimals):
    from MLstatkit import Delong_test

    (first, second, _), truth = _cohort(200, decimals=decimals)
    z, p, first_interval, _, first_area, second_area, info = Delong_test(truth, first, second)
    assert info["method"] == "delong"
    test = delong_test(first, second, truth)
    # Its z is of the second minus the first.
    assert test.statistic == pytest.approx(-z, rel=1e-9)
    assert test.p_value == pytest.approx(p, rel=1e-9)
    areas, covariance = delong(np.stack([first, second]), truth)
    np.testing.assert_allclose(areas, [first_area, second_area], rtol=1e-12)
    reach = norm.ppf(0.975) * np.sqrt(covariance[0, 0])
    np.testing.assert_allclose(first_interval, areas[0] + [-reach, reach], rtol=1e-9)
