import math

import jax
import numpy as np
import pytest

from lnmet.registration import deeds_costs
from lnmet.registration.deeds_config import Level

RNG = np.random.default_rng(0)


def random_bits(shape: tuple[int, ...]) -> np.ndarray:
    return RNG.integers(0, 2**30, (2, *shape), dtype=np.uint32)


def costs_of(target: np.ndarray, warped: np.ndarray, level: Level) -> np.ndarray:
    return np.asarray(jax.jit(deeds_costs.block_costs, static_argnums=2)(target, warped, level))


def naive(target: np.ndarray, warped: np.ndarray, level: Level) -> np.ndarray:
    """Node by node, displacement by displacement, voxel by voxel."""
    g, q, offsets = level.grid, level.step, range(-level.radius, level.radius + 1)
    stride = 2 if g > 4 else 1
    samples = [
        (a, b, c) for a in range(0, g, stride) for b in range(0, g, stride) for c in range(g)
    ]
    nodes, last = level.nodes(target.shape[1:]), np.asarray(target.shape[1:]) - 1
    costs = np.zeros((*nodes, len(offsets) ** 3))
    for node in np.ndindex(*nodes):
        for i, d in enumerate((a, b, c) for a in offsets for b in offsets for c in offsets):
            for sample in samples:
                here = np.asarray(node) * g + sample
                there = np.clip(here + q * np.asarray(d), 0, last)
                differing = target[:, *here] ^ warped[:, *there]
                costs[(*node, i)] += np.bitwise_count(differing).sum()
    return 0.5 * g / (level.alpha * q) / len(samples) * costs


@pytest.mark.parametrize(
    "level",
    [
        Level(grid=4, radius=1, step=2, alpha=1.6),
        Level(grid=5, radius=2, step=1, alpha=1.0),
        # The search goes far beyond the volume.
        Level(grid=5, radius=1, step=20, alpha=1.6),
    ],
)
def test_costs_equal_those_of_single_voxels(level: Level):
    # Voxels beyond the last whole block belong to no node.
    shape = (2 * level.grid + 1, 3 * level.grid, 2 * level.grid + 3)
    target, warped = random_bits(shape), random_bits(shape)
    # Counts are exact; two products in float32 remain.
    np.testing.assert_allclose(
        costs_of(target, warped, level), naive(target, warped, level), rtol=3e-7
    )


@pytest.mark.slow  # compiles all programs of its process anew
def test_memory_is_bounded_without_a_difference(monkeypatch: pytest.MonkeyPatch):
    level = Level(grid=4, radius=1, step=1, alpha=1.6)
    target, warped = random_bits((20, 9, 8)), random_bits((20, 9, 8))
    at_once = costs_of(target, warped, level)
    # Two of five planes of nodes at a time, the last two of which begin within those before.
    monkeypatch.setattr(deeds_costs, "SLAB_BYTES", 2 * 4 * 2 * 2 * 27)
    jax.clear_caches()
    np.testing.assert_array_equal(costs_of(target, warped, level), at_once)


def test_the_true_displacement_costs_nothing():
    level = Level(grid=4, radius=2, step=3, alpha=1.6)
    warped = random_bits((24, 28, 26))
    target = np.roll(warped, (3, -6, 0), axis=(1, 2, 3))
    costs = costs_of(target, warped, level)[2:-2, 2:-2, 2:-2]
    # target(x) = warped(x − (3, −6, 0)), in steps from the corner of the cube of labels:
    label = np.ravel_multi_index((2 - 1, 2 + 2, 2), (5, 5, 5))
    assert np.all(costs.argmin(axis=-1) == label)
    assert np.all(costs[..., label] == 0)


@pytest.mark.parametrize(("grid", "num"), [(8, 128), (7, 112), (6, 54), (5, 45), (4, 64)])
def test_as_many_voxels_of_a_block_are_compared_as_in_deeds(grid: int, num: int):
    level = Level(grid=grid, radius=0, step=1, alpha=1.0)
    ones = np.full((2, 2 * grid, 2 * grid, 2 * grid), 2**30 - 1, np.uint32)
    # All 60 bits of every voxel differ: g / (2 α q n) · 60 n, for any n, and n as the table has it.
    np.testing.assert_allclose(costs_of(ones, 0 * ones, level), 30 * grid, rtol=1e-6)
    assert math.ceil(grid / level.sample_stride) ** 2 * grid == num
