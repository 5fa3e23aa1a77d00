import numpy as np
import pytest

from benchmarks import augment, harness, kernels, routines
from benchmarks.kernel_shapes import Kernel
from benchmarks.kernel_shapes import kernels as all_kernels
from benchmarks.peers import scipy_kernels
from core.nn.conv import conv


@pytest.fixture
def small():
    """The routines at small shapes, by name."""
    makes = {
        "signed_distances": lambda: (routines._organs((8, 19, 16)), routines.IDS, (1.0, 0.7, 0.7)),
        "labels_back": lambda: (routines._logits((6, 7, 8), 4, smooth=1.0), (9, 14, 15)),
    }
    return {r.name: r._replace(make=makes[r.name]) for r in routines.ROUTINES}


@pytest.fixture
def peers(monkeypatch):
    """Modules by name, in place of those of `benchmarks.peers`."""
    found = {}
    monkeypatch.setattr(harness, "peer_module", found.get)
    return found


@pytest.mark.parametrize("name", ["signed_distances", "labels_back"])
def test_a_routine_stands_beside_its_peer(small, peers, name):
    peers["scipy_kernels"] = scipy_kernels
    (row,) = routines.measure(small[name], "scipy", repeats=1)
    assert row["name"] == f"{small[name].title}, scipy"
    assert row["equal"]
    assert row["peer"] == scipy_kernels.NAME


def test_without_its_peer_a_routine_is_timed_alone(small, peers):
    (row,) = routines.measure(small["labels_back"], "scipy", repeats=1)
    assert row["peer"] is None
    assert row["name"] == small["labels_back"].title


def test_without_its_peer_a_kernel_is_timed_alone(peers):
    kernel = Kernel("conv", "conv", conv, ((1, 4, 4, 4, 2), (3, 3, 3, 2, 2)), {"padding": 1})
    rows = kernels.measure(kernel, repeats=1)
    assert [row["name"] for row in rows] == ["conv value", "conv gradients"]
    assert {row["peer"] for row in rows} == {None}


def test_every_kernel_has_a_title_of_its_own():
    titles = [kernel.title for kernel in all_kernels()]
    assert len(titles) == len(set(titles))
    assert "conv 5³ 16 × 16³ × 4 → 4" in titles


def test_what_is_drawn_is_timed_and_not_compared(peers):
    class Other:
        NAME = "other"

        @staticmethod
        def routine(name, *args):
            return lambda: None

    peers["other_kernels"] = Other
    routine = augment._volumes(48, ())._replace(make=lambda: augment._loaded((4, 5, 6), 2))
    (row,) = routines.measure(routine, "other", repeats=1)
    assert row["equal"] is None
    assert row["ratio"] > 0


def test_every_batch_is_augmented_anew():
    first, second = augment._augmentation(*augment._loaded((4, 5, 6), 2))()
    assert first[0].shape == (2, 4, 5, 6, 2)
    assert not np.array_equal(first[0], second[0])


def test_routines_that_differ_are_told_from_equal_ones(small):
    distances, labels = small["signed_distances"].equal, small["labels_back"].equal
    assert not distances(np.array([1.0, 2.0]), np.array([1.0, 2.1]))
    assert not labels(np.zeros(100), np.arange(100) == 5)
