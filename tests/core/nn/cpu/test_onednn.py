"""oneDNN's convolutions against XLA's, and where they stand in a program."""

from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import sharding
from core.nn.conv import conv
from core.nn.cpu import forms
from core.nn.cpu.onednn import form, library, target
from core.nn.cpu.onednn.convolution import Call, prepared
from core.nn.xla_conv import Problem
from tests.core.nn.cpu.test_forms import PROBLEMS, TRANSPOSED, assert_equals_xla, normal

pytestmark = pytest.mark.skipif(library.load() is None, reason="oneDNN has no wheel for this")

OTHERS = [
    # image, kernel, strides, padding, groups
    ((2, 9, 8, 3), (7, 7, 3, 4), (2, 2), 3, 1),
    ((2, 9, 8, 6), (3, 3, 2, 9), (1, 1), 1, 3),
    ((2, 9, 8, 4), (1, 1, 2, 6), (2, 2), 0, 2),
    ((1, 5, 4, 7), (3, 3, 1, 14), (1, 1), 1, 7),
    ((1, 6, 7, 8, 2), (3, 3, 3, 2, 3), (2, 1, 1), 1, 1),
    ((1, 1, 3, 1, 2), (3, 3, 3, 2, 2), (1, 1, 1), 1, 1),
]
LAYER = (2, 8, 8, 4), (3, 3, 4, 6)


def problem_of(image, kernel, strides, padding, groups):
    pads = (padding,) * len(strides) if isinstance(padding, int) else padding
    sizes = image[1:-1], kernel[:-2]
    return Problem("direct", strides, tuple((p, p) for p in pads), groups, *sizes)


def arrays():
    return tuple(normal(seed, shape) for seed, shape in enumerate(LAYER))


def layer(image, kernel):
    return conv(image, kernel, padding=1)


@pytest.mark.parametrize(
    ("image", "kernel", "strides", "padding", "groups"), [p[:5] for p in PROBLEMS] + OTHERS
)
def test_value_and_gradients_equal_xla(image, kernel, strides, padding, groups):
    problem = problem_of(image, kernel, strides, padding, groups)
    assert_equals_xla(problem, normal(0, image), normal(1, kernel), form.compute)


@pytest.mark.parametrize(("image", "kernel", "pads", "_"), TRANSPOSED)
def test_value_and_gradients_of_a_transposed_one_equal_xla(image, kernel, pads, _):
    sizes = image[1:-1], kernel[:-2]
    problem = Problem("direct", (2,) * len(pads), pads, 1, *sizes, transposed=True)
    assert_equals_xla(problem, normal(0, image), normal(1, kernel), form.compute)


def test_a_program_for_one_device_calls_it():
    program = jax.jit(jax.grad(lambda *args: layer(*args).sum(), (0, 1))).lower(*arrays())
    assert program.as_text().count(f"@{target.NAME}") == 2
    planned = program.compile().memory_analysis().temp_size_in_bytes
    assert planned >= max(prepared(_call(w)).workspace_bytes for w in ("image", "kernel"))


def _call(wanted):
    image, kernel = LAYER
    shape = (*image[:-1], kernel[-1])
    return Call(wanted, image, kernel, shape, (1, 1), ((1, 1),) * 2, 1).to_text()


@pytest.mark.usefixtures("all_devices")
def test_a_program_for_several_devices_does_not():
    mesh = sharding.mesh()
    assert mesh.size > 1
    places = sharding.split_batch(jnp.zeros((8, 8, 8, 4)), mesh), sharding.replicated(1, mesh)
    image = jax.ShapeDtypeStruct((8, 8, 8, 4), np.float32, sharding=places[0])
    kernel = jax.ShapeDtypeStruct(LAYER[1], np.float32, sharding=places[1])
    assert target.NAME not in jax.jit(layer).lower(image, kernel).as_text()


def test_an_exported_program_does_not():
    exported = jax.export.export(jax.jit(layer), platforms=("cpu",))(*arrays())
    assert target.NAME not in exported.mlir_module()
    np.testing.assert_allclose(exported.call(*arrays()), layer(*arrays()), atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_other_types_are_left_to_the_forms(dtype):
    given = (array.astype(dtype) for array in arrays())
    assert target.NAME not in jax.jit(layer).lower(*given).as_text()


def test_where_it_is_missing_the_forms_compute_all(monkeypatch):
    expected = layer(*arrays())
    monkeypatch.setattr(library, "load", lambda: None)
    program = jax.jit(lambda *args: layer(*args)).lower(*arrays())
    assert target.NAME not in program.as_text()
    np.testing.assert_allclose(program.compile()(*arrays()), expected, atol=1e-4)


def test_a_library_that_does_not_load_is_told_once_and_not_used(monkeypatch, caplog):
    class File:
        name = library.FILE

        def locate(self):
            return "/nowhere/libdnnl.so.3"

    monkeypatch.setattr(library.metadata, "files", lambda _: [File()])
    assert library.load.__wrapped__() is None
    (record,) = caplog.records
    assert "oneDNN is not used: /nowhere/libdnnl.so.3" in record.getMessage()


def test_what_it_refuses_is_an_error_of_the_program():
    target.register()
    results = jax.ShapeDtypeStruct((1,), np.float32), jax.ShapeDtypeStruct((1,), np.uint8)
    wrong = Call("out", *LAYER, (2, 99, 8, 6), (1, 1), ((1, 1), (1, 1)), 1).to_text()
    with pytest.raises(jax.errors.JaxRuntimeError, match="convolution_forward_primitive_desc"):
        jax.block_until_ready(jax.ffi.ffi_call(target.NAME, results)(*arrays(), call=wrong))


def test_threads_that_call_one_convolution_get_their_own_values():
    step = jax.jit(layer)
    image, kernel = arrays()
    expected = [step(image * factor, kernel) for factor in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            found = list(pool.map(lambda factor: step(image * factor, kernel), range(8)))
            for a, b in zip(found, expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_many_channels_are_left_to_winograd():
    def one_of(image, kernel, padding, wanted="out"):
        pads = (padding,) * (len(image) - 2)
        ones = (1,) * len(pads)
        problem = problem_of(image, kernel, ones, padding, 1)
        problem = problem._replace(form=forms.choose(kernel, ones, pads, 1))
        out = (*image[:-1], kernel[-1])
        given = {"out": (image, kernel), "image": (kernel, out), "kernel": (image, out)}[wanted]
        return form.pays(problem, wanted, *(jax.core.ShapedArray(s, np.float32) for s in given))

    assert one_of((2, 64, 64, 8), (1, 1, 8, 8), 0)
    assert not one_of((2, 8, 8, 8, 32), (3, 3, 3, 32, 32), 1)
    assert one_of((2, 8, 8, 8, 32), (3, 3, 3, 32, 31), 1)
    assert one_of((2, 3, 8, 8, 32), (3, 3, 3, 32, 32), 1)
    assert one_of((2, 8, 8, 8, 32), (3, 3, 3, 32, 32), 1, "kernel")
    assert not one_of((2, 16, 16, 128), (3, 3, 128, 128), 1, "kernel")
    assert not one_of((2, 8, 16, 16, 32), (3, 3, 3, 32, 32), 1, "image")
    assert one_of((2, 8, 8, 4, 32), (3, 3, 3, 32, 32), 1, "image")
    assert one_of((2, 8, 8, 128), (3, 3, 128, 128), 1)
