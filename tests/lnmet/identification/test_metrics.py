"""Table IV: rates over nodes, means over folds, intervals by patient."""

import numpy as np
import pytest

from lnmet.identification.evaluate import PAPER
from lnmet.identification.metrics import TABLE_4, nodes_of, summarize_identification
from lnmet.identification.page import PAPER_TABLE_4, table_4


def row(patient: str, fold: int | None, *nodes: tuple[bool, float], threshold: float = 0.5):
    truth, probabilities = zip(*nodes, strict=True)
    return {
        "patient": patient,
        "fold": fold,
        "is_metastatic": list(truth),
        "probabilities": list(probabilities),
        "threshold": threshold,
    }


ROWS = [
    row("a", 0, (True, 0.9), (False, 0.2), (False, 0.6)),
    row("b", 0, (True, 0.4), (False, 0.1)),
    row("c", 1, (True, 0.7), (False, 0.3), (False, 0.2)),
]


def test_rates_are_of_all_nodes_together():
    measured = summarize_identification(ROWS)
    assert {name: measured[name] for name in TABLE_4} == {
        # Of 3 · 5 pairs 0.4 against 0.6 alone is in the wrong order.
        "auc": pytest.approx(14 / 15),
        "accuracy": pytest.approx(6 / 8),
        "balanced_accuracy": pytest.approx((2 / 3 + 4 / 5) / 2),
        "sensitivity": pytest.approx(2 / 3),
        "specificity": pytest.approx(4 / 5),
    }


def test_means_over_folds_stand_beside_pooled_rates():
    summary = summarize_identification(ROWS)
    assert summary["auc_of_folds"] == pytest.approx((5 / 6 + 1) / 2)
    assert summary["accuracy_of_folds"] == pytest.approx((3 / 5 + 1) / 2)
    assert summary["sensitivity"] == pytest.approx(2 / 3)
    assert (summary["num_nodes"], summary["num_metastatic"], summary["num_folds"]) == (8, 3, 2)
    for name in TABLE_4:
        low, high = summary[f"{name}_ci"]
        assert low <= summary[name] <= high


def test_each_run_has_a_threshold_of_its_own():
    strict = row("a", 0, (True, 0.9), (False, 0.6), threshold=0.95)
    assert nodes_of([strict, ROWS[1]]).is_called.tolist() == [False] * 4


def test_patients_are_resampled_whole():
    """Copies of a node add patients' nodes and no knowledge: the interval stays as it is."""
    few = [row(p, 0, (i % 2 == 0, 0.1 * i)) for i, p in enumerate("abcdefgh")]
    many = [row(p, 0, *[(i % 2 == 0, 0.1 * i)] * 5) for i, p in enumerate("abcdefgh")]
    first, second = (summarize_identification(rows)["accuracy_ci"] for rows in (few, many))
    assert first == second


def test_one_kind_of_node_has_no_auc():
    summary = summarize_identification([row("a", None, (False, 0.2), (False, 0.3))])
    assert np.isnan(summary["auc"])
    assert summary["specificity"] == 1
    assert np.isnan(summary["auc_ci"].low)


def test_a_failed_examination_takes_every_node_for_the_other_kind():
    failed = {"is_metastatic": [True, False], "patient": "a", "fold": 0}
    wrong = {**failed, **PAPER.as_error(failed)}
    assert summarize_identification([wrong])["accuracy"] == 0
    assert summarize_identification([failed])["num_nodes"] == 0


def test_the_table_stands_beside_the_papers():
    table = table_4({"summary": summarize_identification(ROWS)})
    assert [cells[-1] for cells in table.rows] == list(PAPER_TABLE_4)
    assert table.rows[0][:3] == ("AUC", pytest.approx(11 / 12), pytest.approx(14 / 15))
