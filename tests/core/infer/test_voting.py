"""Majority voting: exact, whatever is left out because it is decided."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from core.infer import voting
from core.infer.ballots import ballot
from core.infer.grid import Plan
from core.infer.voting import order_of, voter
from tests.core.infer.test_sliding import (
    SHAPES,
    STRIDE,
    VARIABLES,
    WINDOW,
    by_hand,
    network,
    volume,
)


def make(apply=network, batch=7, **more):
    return voter(apply, window=WINDOW, stride=STRIDE, batch=batch, num_classes=3, **more)


def smooth(variables, windows):
    """One label almost everywhere, as in a scan of which most is no organ."""
    return jnp.concatenate([jnp.ones_like(windows), 3 * windows, -windows], axis=-1)


def blob(shape):
    """A small bright cube in the middle."""
    image = np.zeros((*shape, 1), np.float32)
    image[tuple(slice(n // 2 - 1, n // 2 + 2) for n in shape)] = 1
    return image


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_labels_equal_a_loop_over_windows(shape, early):
    image = volume(shape)
    probs, votes, _ = by_hand(image)
    voted = make(early=early)(VARIABLES, image, fill=0)
    # The summed softmax decides where two classes have the most votes.
    np.testing.assert_array_equal(voted.label, np.argmax(votes + probs / 1000, axis=-1))
    assert voted.num_run <= voted.num_windows
    if not early:
        assert voted.num_run == voted.num_windows


@pytest.mark.parametrize("votes_bytes", [0, 2 << 30])
@pytest.mark.parametrize("batch", [1, 5])
def test_decided_windows_do_not_run_and_change_nothing(monkeypatch, votes_bytes, batch):
    monkeypatch.setattr(voting, "VOTES_BYTES", votes_bytes)
    image, of = blob((48, 30, 32)), {"window": (16, 16, 16), "stride": (5, 5, 5), "num_classes": 3}
    whole = voter(smooth, batch=batch, early=False, **of)(VARIABLES, image, fill=0)
    early = voter(smooth, batch=batch, **of)(VARIABLES, image, fill=0)
    np.testing.assert_array_equal(early.label, whole.label)
    assert (early.label == 1).sum() == 27
    assert whole.num_run == early.num_windows == 8 * 4 * 5
    # Layers that do not share their votes cannot decide one another's voxels.
    assert early.num_run < (0.8 if votes_bytes else 1.01) * early.num_windows


def test_a_tie_of_votes_and_softmax_goes_to_the_lower_label():
    def undecided(variables, windows):
        first = windows[..., :1] > 0
        return jnp.concatenate([jnp.full_like(windows, -9), first * 1.0, 1.0 - first], -1)

    # Two windows over each of the columns 3 … 5, and nothing else differs between them.
    image = np.ones((6, 5, 6, 1), np.float32)
    assert (make(undecided)(VARIABLES, image, fill=0).label == 1).all()

    def equal(variables, windows):
        return jnp.zeros((*windows.shape[:-1], 3))

    assert (make(equal)(VARIABLES, image, fill=0).label == 0).all()


def test_windows_without_a_body_are_background_and_do_not_run():
    def tumor(variables, windows):
        return jnp.concatenate([-jnp.ones_like(windows)] * 2 + [jnp.ones_like(windows)], -1)

    image, body = np.zeros((30, 25, 20, 1), np.float32), np.zeros((30, 25, 20), bool)
    body[20, 12, 10] = True
    voted = make(tumor, early=False)(VARIABLES, image, fill=0, body=body)
    starts = Plan((30, 25, 20), WINDOW, STRIDE, 7, 1, 3).axes
    inside = [
        [(start <= at < start + size) for start in axis]
        for axis, size, at in zip(starts, WINDOW, (20, 12, 10), strict=True)
    ]
    assert voted.num_run == np.prod([sum(flags) for flags in inside])
    assert voted.label[20, 12, 10] == 2
    assert (voted.label[:10] == 0).all()


@pytest.mark.parametrize("shape", [(3, 23, 17), (1, 1, 1)])
def test_a_volume_smaller_than_a_window_equals_a_padded_one(shape):
    image, fill = volume(shape), -2.5
    missing = np.maximum(np.subtract(WINDOW, shape), 0)
    before = missing // 2
    widths = [*zip(before, missing - before, strict=True), (0, 0)]
    padded = np.pad(image, widths, constant_values=fill)
    at = tuple(slice(b, b + n) for b, n in zip(before, shape, strict=True))
    whole = make()(VARIABLES, padded, fill=0).label[at]
    np.testing.assert_array_equal(make()(VARIABLES, image, fill=fill).label, whole)


def test_devices_share_the_windows():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    shared = NamedSharding(mesh, PartitionSpec("data"))
    image = volume((19, 23, 17))
    alone = make(batch=8)(VARIABLES, image, fill=0)
    both = make(batch=8, sharding=shared)(VARIABLES, image, fill=0)
    np.testing.assert_array_equal(both.label, alone.label)
    assert both.num_run == alone.num_run


@pytest.mark.parametrize("counts", [(1, 1, 1), (3, 4, 5), (7, 2, 1)])
def test_every_window_is_looked_at_once_and_every_other_one_first(counts):
    numbers = order_of(counts)
    assert sorted(numbers.tolist()) == list(range(np.prod(counts)))
    first = numbers[: -(-np.prod(counts) // 2)]
    assert (np.sum(np.unravel_index(first, counts), axis=0) % 2 == 0).all()


def test_windows_fill_up_whole_batches(monkeypatch):
    batch, sizes = 70, []

    def record(starts, size):
        for some, num in _batches(starts, size):
            sizes.append(size)
            yield some, num

    _batches = voting._batches
    monkeypatch.setattr(voting, "_batches", record)
    voted = make(batch=batch)(VARIABLES, volume((19, 23, 17)), fill=0)
    assert batch > voting.CHECKED_AT_ONCE
    assert sizes.count(batch) == -(-voted.num_run // batch)


@pytest.mark.parametrize("overlap", [1, 8, 125, 1000])
def test_ballots_fit_into_int32_and_softmax_never_outweighs_a_vote(overlap):
    vote, softmax = ballot(overlap)
    assert overlap * (vote + softmax) < 2**31
    assert overlap * softmax < vote
