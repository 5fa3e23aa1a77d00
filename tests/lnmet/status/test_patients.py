"""Status of patients, where tables tell it, where nodes do, and where they differ."""

import logging

import numpy as np
import pytest

from lnmet.labels import METASTATIC, NODE, PANCREAS, PDAC
from lnmet.status.patients import warn_of_conflicts, with_status
from lnmet.trainable import lacks, log_trainable
from tests.lnmet.status.phantoms import case_of

NAMED = frozenset({PANCREAS, PDAC, NODE, METASTATIC})


def nodes(*metastatic: bool) -> np.ndarray:
    """Rows of annotated nodes, 10 voxels each."""
    return np.array([[is_metastatic, 0, 0, 0, 10] for is_metastatic in metastatic], np.int32)


def case(name: str, *metastatic: bool, patient: str = "", annotated=NAMED, status=None):
    rows = nodes(*metastatic) if metastatic else np.empty((0, 5), np.int32)
    own = case_of(name, status=status)
    return own._replace(patient=patient or name, annotated=annotated, nodes=rows)


def statuses(*cases) -> list[bool | None]:
    return [known.status for known in with_status(cases)]


def test_one_metastatic_node_makes_a_patient_positive():
    assert statuses(case("a", False, True), case("b", False), case("c")) == [True, False, False]


def test_where_metastatic_nodes_are_not_named_nothing_is_known():
    assert statuses(case("a", annotated=frozenset({PDAC, NODE}))) == [None]


def test_the_status_is_the_patient_s():
    other = frozenset({PDAC})
    first, second = case("a", True, patient="p"), case("b", patient="p", annotated=other)
    assert statuses(first, second) == [True, True]
    # What the other examination would have shown is not known.
    assert statuses(case("a", False, patient="p"), second) == [None, None]


def test_a_table_comes_before_nodes():
    assert statuses(case("a", True, status=False), case("b", False, status=True)) == [False, True]
    told = case("b", patient="p", annotated=frozenset({PDAC}), status=True)
    assert statuses(case("a", False, patient="p"), told) == [True, True]


def test_a_negative_patient_with_a_metastatic_node_is_named(caplog):
    warn_of_conflicts([case("a", True, status=True), case("b", False, status=False)])
    assert not caplog.records
    warn_of_conflicts([case("odd", True, status=False)])
    assert "odd" in caplog.text


def test_what_is_lacking_is_told_for_each_network():
    whole = [case("a", True, False, status=True), case("b", False, status=False)]
    assert set(lacks(whole).values()) == {None}
    only_status = [
        c._replace(
            annotated=frozenset({PDAC}), nodes=nodes(True)[:0], voxels=c.voxels | {"nodes": c.nodes}
        )
        for c in whole
    ]
    lacking = lacks(only_status)
    assert lacking["pdac"] is None
    assert lacking["status"] is None
    assert "nodes" in str(lacking["nodes"])
    assert "metastatic" in str(lacking["identification"])
    assert "negative" in str(lacks([case("a", True, status=True)])["identification"])
    assert "--status" in str(lacks([case("a", True, status=True)])["status"])
    assert "--pdac" in str(lacks([c._replace(tumor=None) for c in whole])["status"])


def test_the_log_tells_what_cannot_be_trained_and_which_phase_is_absent(caplog):
    caplog.set_level(logging.INFO)
    one_phase = case("a", False, status=False)._replace(phases=("venous",))
    log_trainable([one_phase, case("b", False, status=True)])
    lines = [record.getMessage() for record in caplog.records]
    assert any("identification cannot be trained" in line for line in lines)
    assert any("1 of 2 cases have no arterial phase" in line for line in lines)
    assert any("1 patients positive, 1 negative, 0 not known" in line for line in lines)


@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_a_status_that_nobody_has_is_lacking(kind):
    others = [case("a", status=kind != "positive"), case("b")]
    assert kind in str(lacks(others)["status"])
