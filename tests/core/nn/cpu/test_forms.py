"""Every form against XLA's own, and which form computes what."""

import jax
import numpy as np
import pytest

from core.nn import xla_conv
from core.nn.cpu import forms
from core.nn.xla_conv import Problem

PROBLEMS = [
    # image, kernel, strides, padding, groups, form
    ((2, 4, 3, 5), (1, 1, 5, 3), (2, 1), 0, 1, "conv_pointwise"),
    ((1, 8, 9, 66), (3, 3, 66, 4), (1, 1), 1, 1, "conv2d_winograd"),
    ((1, 8, 9, 5), (3, 3, 5, 4), (2, 2), 1, 1, "conv2d_stride2"),
    ((1, 8, 9, 8), (3, 3, 2, 4), (1, 1), 1, 4, "conv2d_grouped"),
    ((1, 8, 9, 8), (3, 3, 2, 4), (2, 2), 1, 4, "conv2d_grouped"),
    ((1, 5, 4, 6, 1), (3, 3, 3, 1, 4), (1, 1, 1), 1, 1, "conv3d_one_channel"),
    ((2, 5, 4, 6, 3), (3, 3, 3, 3, 4), (1, 1, 1), 1, 1, "conv3d_winograd"),
    ((2, 9, 5, 6, 3), (3, 3, 3, 3, 4), (1, 2, 2), 1, 1, "conv3d_winograd"),
    ((2, 5, 4, 7, 3), (3, 3, 3, 3, 4), (2, 2, 2), 1, 1, "conv3d_stride2"),
    ((2, 5, 4, 7, 3), (7, 7, 7, 3, 4), (1, 2, 2), 3, 1, "conv3d_large"),
    ((2, 5, 4, 7, 3), (5, 5, 5, 3, 4), (1, 1, 1), 2, 1, "conv3d_large"),
    ((2, 3, 8, 9, 3), (5, 5, 5, 3, 4), (1, 1, 1), 2, 1, "conv3d_large"),
    ((2, 5, 4, 7, 3), (3, 1, 1, 3, 4), (1, 1, 1), (1, 0, 0), 1, "conv3d_along_depth"),
]
TRANSPOSED = [
    ((2, 3, 4, 5), (3, 3, 5, 2), ((0, 1),) * 2, "conv2d_transpose"),
    ((2, 3, 4, 2, 5), (4, 4, 4, 5, 2), ((1, 1),) * 3, "conv3d_transpose"),
]
DIRECT = [
    ((5, 5, 3, 4), (1, 1), (2, 2), 1),
    ((3, 3, 3, 4), (1, 2), (1, 1), 1),
    ((3, 3, 3, 4), (1, 1), (0, 0), 1),
    ((1, 1, 2, 4), (1, 1), (0, 0), 2),
    ((3, 3, 3, 3, 4), (2, 1, 1), (1, 1, 1), 1),
    ((3, 3, 3, 1, 4), (1, 1, 1), (1, 1, 1), 2),
]


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize(("image", "kernel", "strides", "padding", "groups", "form"), PROBLEMS)
def test_a_form_is_chosen_and_equals_xla_in_value_and_gradients(
    image, kernel, strides, padding, groups, form
):
    pads = (padding,) * len(strides) if isinstance(padding, int) else padding
    assert forms.choose(kernel, strides, pads, groups) == form
    both_sides = tuple((p, p) for p in pads)
    problem = Problem(form, strides, both_sides, groups, image[1:-1], kernel[:-2])
    assert_equals_xla(problem, normal(0, image), normal(1, kernel))


@pytest.mark.parametrize(("image", "kernel", "pads", "form"), TRANSPOSED)
def test_a_transposed_form_equals_xla_in_value_and_gradients(image, kernel, pads, form):
    strides = (2,) * len(pads)
    assert forms.choose_transposed(kernel[:-2], strides) == form
    problem = Problem(form, strides, pads, 1, image[1:-1], kernel[:-2], transposed=True)
    assert_equals_xla(problem, normal(0, image), normal(1, kernel))


@pytest.mark.parametrize(("kernel", "strides", "pads", "groups"), DIRECT)
def test_what_no_form_computes_is_left_to_xla(kernel, strides, pads, groups):
    assert forms.choose(kernel, strides, pads, groups) == "direct"


def assert_equals_xla(problem, image, kernel, compute=forms.compute):
    grad = normal(2, xla_conv.compute(problem, "out", image, kernel).shape)
    given = {"out": (image, kernel), "image": (kernel, grad), "kernel": (image, grad)}
    for wanted, arrays in given.items():
        expected = xla_conv.compute(problem, wanted, *arrays)
        got = jax.jit(compute, static_argnums=(0, 1))(problem, wanted, *arrays)
        # Winograd's F(4, 3) loses about two bits; the rest is the order of float32 sums.
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
