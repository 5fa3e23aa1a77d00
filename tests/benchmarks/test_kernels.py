import sys
from argparse import ArgumentTypeError

import numpy as np
import pytest

from benchmarks import kernels, routines
from benchmarks.peers import scipy_kernels


@pytest.fixture
def small():
    """The routines at small shapes, by name."""
    makes = {
        "signed_distances": lambda: (routines._organs((8, 19, 16)), routines.IDS, (1.0, 0.7, 0.7)),
        "labels_back": lambda: (routines._logits((6, 7, 8), 4, smooth=1.0), (9, 14, 15)),
        "augmentation": lambda: routines._loaded((4, 5, 6), 2),
    }
    return {r.name: r._replace(make=makes[r.name]) for r in routines.ROUTINES}


@pytest.mark.parametrize("name", ["signed_distances", "labels_back"])
def test_a_routine_stands_beside_each_peer_that_knows_it(small, name):
    class Other:
        NAME = "other"

        @staticmethod
        def routine(name, *args):
            return None

    peers = {"scipy": scipy_kernels, "other": Other}
    rows = routines.measure(small[name], peers, repeats=1)
    assert [row["name"] for row in rows] == [f"{small[name].title}, scipy"]
    assert rows[0]["equal"]
    assert rows[0]["peer"] == scipy_kernels.NAME


def test_without_peers_a_routine_is_timed_alone(small):
    (row,) = routines.measure(small["labels_back"], {}, repeats=1)
    assert row["peer"] is None


def test_what_is_drawn_is_timed_and_not_compared(small):
    class Other:
        NAME = "other"

        @staticmethod
        def routine(name, *args):
            return lambda: None

    (row,) = routines.measure(small["augmentation"], {"other": Other}, repeats=1)
    assert row["equal"] is None
    assert row["ratio"] > 0


def test_every_batch_is_augmented_anew():
    first, second = routines._augmentation(*routines._loaded((4, 5, 6), 2))()
    assert first[0].shape == (2, 4, 5, 6, 2)
    assert not np.array_equal(first[0], second[0])


def test_routines_that_differ_are_told_from_equal_ones(small):
    distances, labels = small["signed_distances"].equal, small["labels_back"].equal
    assert not distances(np.array([1.0, 2.0]), np.array([1.0, 2.1]))
    assert not labels(np.zeros(100), np.arange(100) == 5)


def test_peers_are_a_list_with_commas():
    assert list(kernels._peers("scipy")) == ["scipy"]
    with pytest.raises(ArgumentTypeError, match="no such peer: itk, vtk"):
        kernels._peers("scipy,vtk,itk")


def test_a_missing_peer_ends_with_status_2(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "benchmarks.peers.edt_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "edt", None)
    with pytest.raises(SystemExit, match="2"):
        kernels._peers("scipy,edt")
    assert "the peer needs edt" in capsys.readouterr().err
