import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from core.distance import edt as module
from core.distance.edt import BLOCK, edt, signed_to_labels

signed = jax.jit(module.signed, static_argnames=("spacing_mm", "max_mm"))

# Squares of millimetres in float32: 2e-7 of the distance, doubled for the roundings of the sum.
RTOL = 5e-7
SPACINGS = ((0.8, 0.68, 0.68), (1.0, 1.0, 1.0), (5.0, 0.5, 1.25))


def reference(mask: np.ndarray, spacing_mm) -> np.ndarray:
    """Signed distances by scipy; ±inf where there is one class only, which scipy does not know."""
    if not mask.any() or mask.all():
        return np.where(mask, -np.inf, np.inf)
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return outside - ndimage.distance_transform_edt(mask, sampling=spacing_mm)


def blobs(shape, seed: int, share: float) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2)
    return noise > np.quantile(noise, 1 - share)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([0.02, 0.3, 0.9, 0.995]), st.sampled_from(SPACINGS))
def test_signed_distances_are_scipys(seed, share, spacing_mm):
    mask = blobs((11, 19, 23), seed, share)
    expected = reference(mask, spacing_mm)
    np.testing.assert_allclose(signed(jnp.asarray(mask), spacing_mm), expected, rtol=RTOL)


@pytest.mark.parametrize("num", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_every_number_of_slices_fits_the_blocks(num):
    mask = np.zeros((2, num, num), bool)
    mask[1, num // 2, num - 1] = True
    np.testing.assert_allclose(
        signed(jnp.asarray(mask), (2.0, 0.7, 1.1)), reference(mask, (2.0, 0.7, 1.1)), rtol=RTOL
    )


@pytest.mark.parametrize("shape", [(17,), (17, 40), (5, 6, 7, 8)])
def test_any_number_of_axes(shape):
    mask = np.random.default_rng(0).random(shape) < 0.1
    spacing = tuple(0.5 + i for i in range(len(shape)))
    np.testing.assert_allclose(
        signed(jnp.asarray(mask), spacing), reference(mask, spacing), rtol=RTOL
    )


@pytest.mark.parametrize("max_mm", [0.4, 3.0, 9.5, 200.0])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_up_to_the_largest_distance_nothing_changes(max_mm, share):
    mask = blobs((12, 33, 40), 3, share)
    expected = np.clip(reference(mask, (0.8, 0.68, 0.68)), -max_mm, max_mm)
    limited = signed(jnp.asarray(mask), (0.8, 0.68, 0.68), max_mm=max_mm)
    np.testing.assert_allclose(limited, expected, rtol=RTOL)


@pytest.mark.parametrize("max_mm", [np.inf, 7.0])
def test_without_the_other_class_all_is_infinitely_far(max_mm):
    empty = jnp.zeros((4, 5, 6), bool)
    assert (signed(empty, (1, 1, 1), max_mm=max_mm) == max_mm).all()
    assert (signed(~empty, (1, 1, 1), max_mm=max_mm) == -max_mm).all()
    assert (edt(~empty, (1, 1, 1), max_mm=max_mm) == max_mm).all()
    assert (edt(empty, (1, 1, 1), max_mm=max_mm) == 0).all()


def test_unsigned_is_scipys_transform():
    mask = blobs((9, 20, 31), 1, 0.6)
    expected = ndimage.distance_transform_edt(mask, sampling=(3.0, 1.0, 0.5))
    np.testing.assert_allclose(edt(jnp.asarray(mask), (3.0, 1.0, 0.5)), expected, rtol=RTOL)


def test_mapped_and_compiled_it_is_the_same():
    masks = np.stack([blobs((8, 20, 17), s, share) for s, share in enumerate((0.01, 0.4, 0.97))])
    transform = jax.jit(jax.vmap(lambda mask: module.signed(mask, (0.8, 0.68, 0.68))))
    expected = [reference(mask, (0.8, 0.68, 0.68)) for mask in masks]
    np.testing.assert_allclose(transform(masks), expected, rtol=RTOL)


def test_labels_in_their_order_and_an_absent_one():
    label = np.zeros((6, 20, 20), np.uint8)
    label[2:4, 3:9, 3:9], label[1:3, 12:15, 5:18] = 7, 2
    maps = signed_to_labels(jnp.asarray(label), (2, 5, 7), (1.5, 1, 1), max_mm=30.0)
    for found, id_ in zip(maps, (2, 5, 7), strict=True):
        expected = np.clip(reference(label == id_, (1.5, 1, 1)), -30, 30)
        np.testing.assert_allclose(found, expected, rtol=RTOL)


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_forms_of_both_platforms_agree(share):
    mask = jnp.asarray(blobs((40, 21), 5, share))
    first = jnp.where(mask, jnp.inf, -jnp.inf)
    scanned, at_once = module._scanned(0.7)(first, mask), module._at_once(0.7)(first, mask)
    np.testing.assert_allclose(scanned, at_once, rtol=RTOL)
    known, other = jnp.moveaxis(scanned, 1, 0), jnp.moveaxis(mask, 1, 0)
    blockwise = module._blockwise(1.3, float("inf"))(known, other)
    np.testing.assert_allclose(blockwise, module._at_once(1.3)(known, other), rtol=RTOL)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_reduce_all_pairs_and_never_loop(platform):
    mask = jax.ShapeDtypeStruct((10, 12, 14), jnp.bool_)
    transform = jax.jit(lambda mask: module.signed(mask, (0.8, 0.68, 0.68)))
    program = jax.export.export(transform, platforms=[platform])(mask).mlir_module()
    assert "stablehlo.while" not in program
    assert program.count("stablehlo.reduce") == 3


@pytest.mark.parametrize(
    ("spacing_mm", "max_mm", "name"),
    [((1, 1), 5, "spacing_mm"), ((1, 1, 0), 5, "spacing_mm"), ((1, 1, 1), 0, "max_mm")],
)
def test_wrong_arguments_are_refused(spacing_mm, max_mm, name):
    transform = inspect.unwrap(module.signed)
    with pytest.raises(ValueError, match=name):
        transform(jnp.zeros((2, 2, 2), bool), spacing_mm, max_mm=max_mm)
