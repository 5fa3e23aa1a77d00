"""Saliency is the derivative of the decided class's logit, and is shown dark on white."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import compiler
from fee import model
from fee import saliency as module
from fee.loss import normalize
from fee.saliency import CLASSES, brightness, explainer
from tests.fee.tiny import MODELS, SIZE, variables

RNG = np.random.default_rng(1)
IMAGE = RNG.integers(1, 256, (SIZE, SIZE), np.uint8)
MASK = np.zeros((SIZE, SIZE), np.uint8)
MASK[8:24, 8:24] = 1
CFG = MODELS["diagnose"]
APPLY = jax.jit(model.apply, static_argnums=0)


@pytest.fixture(scope="module")
def explain():
    return explainer(CFG, *variables("diagnose"))


def logit(gray: np.ndarray, decision: str) -> float:
    logits, _ = APPLY(CFG, *variables("diagnose"), normalize(jnp.asarray(gray)[None]))
    return float(logits[0, CLASSES[decision]])


@pytest.mark.parametrize("decision", CLASSES)
def test_it_is_what_a_change_of_a_gray_value_does_to_the_logit(explain, decision):
    influence = explain(IMAGE, MASK, decision)
    assert influence.shape == (SIZE, SIZE)
    assert (influence >= 0).all()
    fused = (IMAGE * MASK).astype(np.float32)
    strongest = np.unravel_index(np.argmax(influence), influence.shape)
    for place in (strongest, (16, 16), (2, 3)):
        step = np.zeros_like(fused)
        step[place] = 0.5
        change = abs(logit(fused + step, decision) - logit(fused - step, decision))
        # A finite difference of a piecewise linear network in float32.
        assert influence[place] == pytest.approx(change, rel=0.1, abs=2e-5)


def test_the_two_classes_have_maps_of_their_own(explain):
    tumor, normal = (explain(IMAGE, MASK, decision) for decision in ("tumor", "normal"))
    assert np.abs(tumor - normal).max() > 1e-3 * tumor.max()


def test_a_slice_without_pancreas_has_no_influence_anywhere(explain):
    assert not explain(IMAGE, np.zeros_like(MASK), "tumor").any()


def test_one_compilation_serves_every_slice_and_both_classes(explain):
    compiled = compiler.of_config(module._influence, CFG)
    compiled.clear_cache()
    for decision in CLASSES:
        explain(IMAGE, MASK, decision)
        explain(IMAGE.T.copy(), MASK, decision)
    assert compiled._cache_size() == 1


def test_the_largest_influence_is_black_and_none_is_white():
    influence = np.array([[0.0, 1.0], [2.0, 4.0]])
    np.testing.assert_array_equal(brightness(influence), [[1, 0.75], [0.5, 0]])
    np.testing.assert_array_equal(brightness(np.zeros((2, 2))), np.ones((2, 2)))
