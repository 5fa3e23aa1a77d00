from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.conv import conv, conv_transpose, direct, direct_transpose
from tests.core.nn.test_conv import RELATIVE, assert_same_value_and_gradients, normal

CONVS = [
    ((2, 5, 4, 6, 2), (3, 3, 3, 2, 3), 1, 1, 1),
    ((2, 5, 4, 6, 1), (3, 3, 3, 1, 3), 1, 1, 1),
    ((1, 5, 4, 6, 2), (3, 3, 3, 2, 3), 2, 1, 1),
    ((1, 5, 4, 6, 2), (3, 3, 3, 2, 3), (1, 2, 2), 1, 1),
    ((1, 5, 4, 6, 2), (3, 1, 1, 2, 3), 1, (1, 0, 0), 1),
    ((1, 5, 4, 6, 2), (1, 3, 3, 2, 3), 1, (0, 1, 1), 1),
    ((2, 5, 4, 3), (1, 1, 3, 2), 2, 0, 1),
    ((2, 6, 5, 3), (3, 3, 3, 2), 1, 1, 1),
    ((2, 6, 5, 3), (3, 3, 3, 2), 2, 1, 1),
    ((2, 6, 5, 4), (3, 3, 2, 6), 2, 1, 2),
    ((1, 8, 9, 2), (5, 5, 2, 3), 2, 2, 1),
]
TRANSPOSED = [
    ((1, 2, 3, 2, 2), (4, 4, 4, 2, 3), 2),
    ((1, 2, 3, 2, 2), (1, 2, 2, 2, 3), (1, 2, 2)),
    ((1, 2, 3, 2, 2), (3, 3, 3, 2, 3), 2),
    ((2, 3, 4, 2), (3, 3, 2, 3), 2),
]


def layers():
    """A layer of every form, its reference, and shapes of both arguments."""
    outputs = []
    for image, kernel, stride, padding, groups in CONVS:
        axes = len(image) - 2
        strides = (stride,) * axes if isinstance(stride, int) else stride
        pads = (padding,) * axes if isinstance(padding, int) else padding
        ours = partial(conv, stride=stride, padding=padding, groups=groups)
        reference = partial(direct, strides=strides, pads=pads, groups=groups)
        outputs.append(pytest.param(ours, reference, image, kernel, id=f"{kernel} / {stride}"))
    for image, kernel, stride in TRANSPOSED:
        ours, reference = (partial(f, stride=stride) for f in (conv_transpose, direct_transpose))
        outputs.append(pytest.param(ours, reference, image, kernel, id=f"up {kernel} / {stride}"))
    return outputs


@pytest.mark.parametrize(("ours", "reference", "image", "kernel"), layers())
def test_forward_mode_and_second_derivatives_equal_xla(ours, reference, image, kernel):
    arrays = normal(0, image), normal(1, kernel)
    along = normal(2, image), normal(3, kernel)

    def energy(layer, *args):
        return jnp.sum(jnp.sin(layer(*args)))

    @partial(jax.jit, static_argnums=0)
    def derivatives(layer):
        gradient = jax.grad(partial(energy, layer), argnums=(0, 1))
        slope = jax.grad(lambda *args: jax.jvp(partial(energy, layer), args, along)[1], (0, 1))
        forward_over_reverse = jax.jvp(gradient, arrays, along)
        return jax.jvp(layer, arrays, along), forward_over_reverse, slope(*arrays)

    pairs = zip(*(jax.tree.leaves(derivatives(f)) for f in (ours, reference)), strict=True)
    for got, wanted in pairs:
        np.testing.assert_allclose(got, wanted, rtol=0, atol=RELATIVE * np.abs(wanted).max())


@pytest.mark.parametrize(("ours", "reference", "image", "kernel"), layers())
@pytest.mark.parametrize("axes", [(1, None), (None, 1), (1, 0)])
def test_vmap_equals_xla_in_value_and_gradients(ours, reference, image, kernel, axes):
    shapes = [
        shape if axis is None else (*shape[:axis], 2, *shape[axis:])
        for shape, axis in zip((image, kernel), axes, strict=True)
    ]
    arrays = normal(0, shapes[0]), normal(1, shapes[1])
    assert_same_value_and_gradients(
        *(jax.jit(jax.vmap(f, axes)) for f in (ours, reference)), *arrays
    )


def test_jacobians_forward_and_backward_agree():
    image, kernel = normal(0, (1, 2, 3, 2, 2)), normal(1, (3, 3, 3, 2, 2))
    layer = partial(conv, kernel=kernel, padding=1)
    np.testing.assert_allclose(jax.jacfwd(layer)(image), jax.jacrev(layer)(image), atol=1e-5)
    _, linear = jax.linearize(layer, image)
    np.testing.assert_allclose(linear(image), layer(image), atol=1e-5)


def test_conv_runs_where_jit_is_disabled():
    image, kernel = normal(0, (1, 2, 3, 2, 2)), normal(1, (3, 3, 3, 2, 2))
    expected = conv(image, kernel, padding=1)
    with jax.disable_jit():
        np.testing.assert_allclose(conv(image, kernel, padding=1), expected, atol=1e-5)
