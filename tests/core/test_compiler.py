"""Programs compute what `jax.jit` computes, by the convolutions that are fast on CPU."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from core import compiler

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((1, 32, 32, 32)).astype(np.float32)
KERNEL = RNG.standard_normal((3, 3, 32, 32)).astype(np.float32)


def convolve(image: jax.Array, kernel: jax.Array) -> jax.Array:
    return lax.conv_general_dilated(
        image, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def handed_over(jitted) -> bool:
    """Whether the convolution has gone to YNNPACK."""
    return "__ynn_fusion" in jitted.lower(IMAGE, KERNEL).compile().as_text()


def test_convolutions_stay_with_xla():
    if not handed_over(jax.jit(convolve)):
        pytest.skip("XLA hands no convolution to YNNPACK on this machine")
    assert not handed_over(compiler.jit(convolve))


@pytest.mark.parametrize("runs_once", [False, True])
def test_a_program_computes_the_same(runs_once):
    out = compiler.jit(convolve, runs_once=runs_once)(IMAGE, KERNEL)
    # Float32 sums of 288 products in another order.
    np.testing.assert_allclose(out, jax.jit(convolve)(IMAGE, KERNEL), atol=1e-4)


def test_options_of_jit_are_kept():
    add = compiler.jit(lambda n, x: x + n, static_argnums=0, donate_argnums=1)
    x = jnp.ones(3)
    assert add(2, x).tolist() == [3, 3, 3]
    assert x.is_deleted()


def test_a_program_for_another_platform_gets_no_options_of_cpus(monkeypatch):
    given = []
    monkeypatch.setattr(jax, "jit", lambda function, **options: given.append(options))
    compiler.jit(convolve, platform="tpu")
    compiler.jit(convolve, platform="cpu")
    assert [set(options) for options in given] == [set(), {"compiler_options"}]


def test_a_program_needs_its_arguments_results_and_temporaries_but_a_donated_one_once():
    kept, donated = (
        compiler.jit(lambda x: x + 1, donate_argnums=numbers).lower(jnp.ones(1000)).compile()
        for numbers in ((), 0)
    )
    assert compiler.peak_bytes(kept) == 2 * 4000
    assert compiler.peak_bytes(donated) == 4000


def test_a_compiler_that_does_not_count_is_believed_to_know_nothing():
    class Compiled:
        def memory_analysis(self):
            return None

    assert np.isnan(compiler.peak_bytes(Compiled()))
