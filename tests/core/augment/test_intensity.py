import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.intensity import brightness, contrast

IMAGE = np.arange(256, dtype=np.float32).reshape(16, 16)
KEYS = jax.random.split(jax.random.key(0), 400)


def many(operation, **options):
    return jax.jit(jax.vmap(lambda key: operation(key, jnp.asarray(IMAGE), **options)))(KEYS)


def test_brightness_adds_one_number_and_clips():
    for out in np.asarray(many(brightness, largest=0.8, probability=1.0)):
        added = (out - IMAGE)[(out > 0) & (out < 255)]
        np.testing.assert_allclose(out, np.clip(IMAGE + added[0], 0, 255), atol=1e-3)


def test_contrast_multiplies_by_one_number_and_clips():
    out = np.asarray(many(contrast, largest=0.8, probability=1.0))
    factors = out[:, 0, 1]
    expected = np.clip(factors[:, None, None] * IMAGE, 0, 255)
    np.testing.assert_allclose(out, expected, rtol=1e-5)
    # Uniform over [0.2, 1.8]: 400 draws miss an outer twentieth once in 10⁸ times.
    assert 0.2 <= factors.min() < 0.28
    assert 1.72 < factors.max() <= 1.8


@pytest.mark.parametrize("operation", [brightness, contrast])
def test_the_share_of_changed_images_is_the_probability(operation):
    changed = (np.asarray(many(operation, largest=0.8, probability=0.3)) != IMAGE).any((1, 2))
    # Four standard deviations of a binomial of 400.
    assert abs(changed.mean() - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 400)


@pytest.mark.parametrize("operation", [brightness, contrast])
def test_nothing_to_draw_from_changes_nothing(operation):
    np.testing.assert_array_equal(
        operation(KEYS[0], jnp.asarray(IMAGE), largest=0.0, probability=1.0), IMAGE
    )


@pytest.mark.parametrize("operation", [brightness, contrast])
@pytest.mark.parametrize("option", ["largest", "probability"])
def test_shares_above_one_are_refused(operation, option):
    with pytest.raises(ValueError, match=f"{option} must lie in"):
        operation(
            KEYS[0], jnp.asarray(IMAGE), **({"largest": 0.5, "probability": 0.5} | {option: 1.1})
        )
