import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from lnmet.anatomy import attention, fit_ranges, organ_attention, pool_ranges, trapezium
from lnmet.config import ORGANS, TABLE_II, Range

SPACING = (0.8, 0.68, 0.68)


def signed(mask: np.ndarray, spacing_mm) -> np.ndarray:
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return outside - ndimage.distance_transform_edt(mask, sampling=spacing_mm)


def equation_1(d: np.ndarray, low: float, high: float) -> np.ndarray:
    """As printed, case by case."""
    out = np.zeros_like(d)
    out[(low <= d) & (d <= high)] = 1
    falls = (high < d) & (d < high + 3)
    out[falls] = -(d[falls] - high - 3) / 3
    rises = (low - 3 < d) & (d < low)
    out[rises] = (d[rises] - low + 3) / 3
    return out


def equation_2(organs: np.ndarray, spacing_mm) -> np.ndarray:
    maps = {}
    for id_, (low, high) in enumerate(TABLE_II.values(), start=1):
        if (organs == id_).any():
            maps[id_] = equation_1(signed(organs == id_, spacing_mm), low, high)
    out = np.max(list(maps.values()), axis=0)
    for id_, own in maps.items():
        out[organs == id_] = own[organs == id_]
    return out


def balls(shape=(30, 60, 64), ids=(1, 4, 5, 7), seed=0) -> np.ndarray:
    rng, grid = np.random.default_rng(seed), np.indices(shape)
    organs = np.zeros(shape, np.uint8)
    for id_ in ids:
        center, radius = rng.uniform(0.25, 0.75, 3) * shape, rng.uniform(5, 11)
        apart = (grid - center[:, None, None, None]) * np.array(SPACING)[:, None, None, None]
        organs[(apart**2).sum(axis=0) < radius**2] = id_
    return organs


@pytest.mark.parametrize(("low", "high"), TABLE_II.values(), ids=ORGANS)
def test_the_mapping_is_equation_1(low, high):
    d = np.linspace(-20, 40, 601)
    # Ends of ramps that fall between float32 numbers.
    np.testing.assert_allclose(
        trapezium(jnp.asarray(d), low, high), equation_1(d, low, high), atol=1e-6
    )


@pytest.mark.parametrize("ids", [(1, 4, 5, 7), (2,), tuple(range(1, 11))])
def test_the_whole_map_is_equation_2(ids):
    organs = balls(ids=ids)
    found = attention(jnp.asarray(organs), SPACING)
    # 3 mm ramps over distances of float32.
    np.testing.assert_allclose(found, equation_2(organs, SPACING), atol=1e-5)


def test_no_organ_no_attention():
    assert not attention(jnp.zeros((8, 9, 10), jnp.uint8), SPACING).any()


def test_maps_of_the_organs_and_of_an_absent_one():
    organs = balls()
    maps = organ_attention(jnp.asarray(organs), SPACING)
    assert maps.shape == (10, *organs.shape)
    for id_, own in enumerate(maps, start=1):
        expected = np.zeros(organs.shape)
        if (organs == id_).any():
            expected = equation_1(signed(organs == id_, SPACING), *TABLE_II[ORGANS[id_ - 1]])
        np.testing.assert_allclose(own, expected, atol=1e-5)


def test_ten_organs_need_the_memory_of_one():
    organs = jax.ShapeDtypeStruct((24, 32, 40), jnp.uint8)
    ranges = tuple(TABLE_II.values())

    def temporaries(num: int) -> int:
        lowered = jax.jit(lambda o: attention(o, SPACING, ranges[:num])).lower(organs)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert temporaries(10) == temporaries(2)
    assert temporaries(10) <= 6 * 4 * 24 * 32 * 40  # six float32 copies of this volume


def test_ranges_are_fitted_to_the_nearest_organ():
    organs = np.zeros((1, 1, 40), np.uint8)
    organs[0, 0, :10], organs[0, 0, 30:] = 2, 3
    nodes = np.zeros(organs.shape, bool)
    nodes[0, 0, [8, 14, 16, 29]] = True  # 2 inside organ 2; 5 and 7 from it; 1 from organ 3
    ranges = fit_ranges(jnp.asarray(organs), jnp.asarray(nodes), (1, 1, 0.5), num_organs=4)
    inf = np.inf
    np.testing.assert_array_equal(ranges, [[inf, -inf], [-1.0, 3.5], [0.5, 0.5], [inf, -inf]])


def test_ranges_of_cases_are_pooled_and_table_ii_fills_the_gaps():
    none = [np.inf, -np.inf]
    cases = [np.array([[1.0, 4.0], none, none]), np.array([[-2.0, 3.0], [5.0, 6.0], none])]
    fallback = [Range(0, 1), Range(0, 2), Range(0, 3)]
    assert pool_ranges(cases, fallback) == [Range(-2, 4), Range(5, 6), Range(0, 3)]
    with pytest.raises(ValueError, match="at least one case"):
        inspect.unwrap(pool_ranges)([])
