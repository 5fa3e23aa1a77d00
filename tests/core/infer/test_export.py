"""Exported programs: what is written is what is asked, in the form of each platform."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from core.infer.export import PLATFORMS, Program, lowered, write_programs
from core.nn.conv import conv

RNG = np.random.default_rng(0)
VARIABLES = {
    "params": {"b": np.float32(1), "a": RNG.standard_normal((3, 3, 3, 1, 2)).astype(np.float32)},
    "model_state": {"mean": np.float32(0.5)},
}
WINDOW = (8, 6, 4)
WINDOWS = jnp.asarray(RNG.standard_normal((2, *WINDOW, 1)), jnp.float32)


def apply(variables, windows):
    out = conv(windows, jnp.asarray(variables["params"]["a"]), padding=1)
    return out * variables["params"]["b"] - variables["model_state"]["mean"]


PROGRAM = Program(apply, VARIABLES, [jax.ShapeDtypeStruct(WINDOWS.shape, jnp.float32)])


def read(path, name):
    """As the examples do: the flat weights of a network, and its program."""
    arrays = dict(np.load(path))
    prefix = f"{name}/weights/"
    weights = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return weights, export.deserialize(bytearray(arrays[f"{name}/program"]))


def test_a_written_program_answers_as_its_function(tmp_path):
    path, about = tmp_path / "model.npz", {"spacing_mm": [1.5, 1, 1], "phase": None}
    write_programs(path, {"one": PROGRAM}, about)
    weights, exported = read(path, "one")
    assert set(weights) == {"params/a", "params/b", "model_state/mean"}
    assert exported.platforms == PLATFORMS
    expected = jax.jit(apply)(VARIABLES, WINDOWS)
    # Here oneDNN may compute what there our forms do: float32 sums in another order.
    np.testing.assert_allclose(exported.call(weights, WINDOWS), expected, atol=1e-5)
    assert json.loads(str(np.load(path)["about"])) == about


def test_the_branches_of_other_platforms_are_not_compiled():
    weights, exported = lowered(PROGRAM)
    text = jax.jit(exported.call).lower(weights, WINDOWS).compile().as_text()
    assert "case" in exported.mlir_module()
    assert "conditional" not in text


def test_every_platform_has_its_own_form_of_a_convolution():
    _, exported = lowered(PROGRAM)
    text = exported.mlir_module()
    called = dict(zip(PLATFORMS, called_by_platform(text), strict=True))
    assert called["cuda"] == called["tpu"] != called["cpu"]
    bodies = {p: text.partition(f"func.func private @{name}(")[2] for p, name in called.items()}
    bodies = {platform: body.partition("func.func")[0] for platform, body in bodies.items()}
    whole_kernel = "stablehlo.convolution(%arg1, %arg2)"
    assert [whole_kernel in bodies[platform] for platform in PLATFORMS] == [False, True, True]


def called_by_platform(text: str) -> list[str]:
    """The function that computes the one convolution of a program, in the order of its platforms.

    One `case` brings the number of a platform to that of a branch, the next one has the branches.
    """
    cases = re.findall(r'"stablehlo.case"\(%\w+\) \(\{(.*?)\}\) :', text, re.DOTALL)
    of_platform, branches = (case.split("}, {") for case in cases[:2])
    numbers = dict(re.findall(r"(%\w+) = stablehlo.constant dense<(\d)> : tensor<i32>", text))
    names = [re.findall(r"call @(\w+)\(", branch)[0] for branch in branches]
    returned = [re.findall(r"stablehlo.return (%\w+)", case)[0] for case in of_platform]
    return [names[int(numbers[name])] for name in returned]
