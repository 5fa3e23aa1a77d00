import jax
import jax.numpy as jnp
import numpy as np

from lnmet.registration.mind import PAIRS, mind_ssc

NUMBERS = {"radius": 1, "dilation": 2}


def noise(shape=(8, 9, 10)) -> jax.Array:
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def test_pairs_are_the_twelve_edges_between_face_neighbours():
    assert len({frozenset(pair) for pair in PAIRS}) == 12
    for a, b in PAIRS:
        assert np.abs(a).sum() == np.abs(b).sum() == 1
        assert np.square(np.subtract(a, b)).sum() == 2


def test_one_voxel_follows_the_equation():
    image, (z, y, x) = np.asarray(noise()), (4, 4, 5)  # the patch around all neighbours is inside

    def patch(neighbour):
        low = [c + 2 * n - 1 for c, n in zip((z, y, x), neighbour, strict=True)]
        return image[tuple(slice(a, a + 3) for a in low)]

    apart = np.array([np.mean((patch(a) - patch(b)) ** 2) for a, b in PAIRS])
    above = apart - apart.min()
    expected = np.exp(-above / above.mean())
    # float32 means of 27 squares.
    features = mind_ssc(jnp.asarray(image), **NUMBERS)
    np.testing.assert_allclose(features[z, y, x], expected, rtol=1e-5)


def test_scale_and_offset_of_the_image_do_not_matter():
    image = noise()
    moved = mind_ssc(-3 * image + 7, **NUMBERS)
    # 3 · x + 7 is rounded to some 5e-7 of differences near 1.
    np.testing.assert_allclose(moved, mind_ssc(image, **NUMBERS), atol=1e-5)


def test_each_voxel_has_a_pair_that_is_most_alike_and_none_exceeds_it():
    features = mind_ssc(noise(), **NUMBERS)
    np.testing.assert_array_equal(features.max(axis=-1), 1)
    assert features.min() >= 0


def test_where_there_is_one_value_only_all_pairs_are_alike():
    np.testing.assert_array_equal(mind_ssc(jnp.full((6, 6, 6), 40.0), **NUMBERS), 1)
