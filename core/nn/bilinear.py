"""Convolution as a primitive of JAX: linear in each argument, lowered per platform.

The value of a convolution and its two gradients are one trilinear form, ⟨out, image * kernel⟩, with
one of the three left open, and each is a derivative of the other two. So one rule serves forward
mode, reverse mode and one over the other to any order, and nothing is ever differentiated of the
code that computes it: oneDNN or a form of `core.nn.cpu` on CPU, `core.nn.xla_conv` elsewhere.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding, PartitionSpec

from core.nn import enlarge, xla_conv
from core.nn.by_device import Compute, by_device
from core.nn.cpu import forms
from core.nn.cpu.onednn import form as onednn
from core.nn.xla_conv import GIVEN, Problem, Role

# Traced once for a shape instead of once for a layer.
_jit = partial(jax.jit, static_argnames=("problem", "wanted", "depth"))


def convolve(problem: Problem, image: jax.Array, kernel: jax.Array) -> jax.Array:
    """The value of a convolution, (n, *t, o)."""
    return _primitive.bind(image, kernel, problem=problem, wanted="out", depth=0)


@_jit
def _on_cpu(a: jax.Array, b: jax.Array, *, problem: Problem, wanted: Role, depth: int) -> jax.Array:
    written = problem.form not in ("direct", "enlarge")
    compute = forms.compute if written else _of_every_platform(problem)
    return _vmapped(compute, problem, wanted, depth)(a, b)


@_jit
def _elsewhere(
    a: jax.Array, b: jax.Array, *, problem: Problem, wanted: Role, depth: int
) -> jax.Array:
    return _vmapped(_of_every_platform(problem), problem, wanted, depth)(a, b)


@_jit
def _by_onednn(
    a: jax.Array, b: jax.Array, *, problem: Problem, wanted: Role, depth: int
) -> jax.Array:
    del depth  # 0
    return onednn.compute(problem, wanted, a, b)


def _of_every_platform(problem: Problem) -> Callable[..., jax.Array]:
    return enlarge.compute if problem.form == "enlarge" else xla_conv.compute


def _vmapped(
    compute: Callable[..., jax.Array], problem: Problem, wanted: Role, depth: int
) -> Compute:
    function: Compute = partial(compute, problem, wanted)
    if not depth:
        return by_device(function, problem, wanted)
    for _ in range(depth):
        function = jax.vmap(function)
    return function


def _run(*arrays: jax.Array, **static: Any) -> jax.Array:
    with jax.disable_jit(False):  # what runs by itself would otherwise call itself forever
        return _compiled(*arrays, **static)


def _abstract(a: Any, b: Any, **static: Any) -> ShapedArray:
    likes = (jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (a, b))
    out = jax.eval_shape(partial(_elsewhere, **static), *likes)
    # The devices are known to what follows; who has which part of the result is XLA's to decide.
    mesh = next((x.sharding.mesh for x in (a, b) if not x.sharding.mesh.empty), a.sharding.mesh)
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * len(out.shape)))
    return ShapedArray(out.shape, out.dtype, sharding=sharding)


def _cotangent(index: int, cotangent: jax.Array, *args: Any, wanted: Role, **static: Any) -> Any:
    """Of argument `index`, from the other argument and the cotangent of the result."""
    role, other = GIVEN[wanted][index], GIVEN[wanted][1 - index]
    values = {wanted: cotangent, other: args[1 - index]}
    return _primitive.bind(*(values[r] for r in GIVEN[role]), wanted=role, **static)


def _batched(
    arrays: tuple[jax.Array, jax.Array],
    axes: tuple[int | None, int | None],
    *,
    problem: Problem,
    wanted: Role,
    depth: int,
) -> tuple[jax.Array, int]:
    """`vmap`: with one kernel for all a larger batch, otherwise one more axis in front."""
    bind = partial(_primitive.bind, problem=problem, wanted=wanted)
    given = dict(zip(GIVEN[wanted], zip(arrays, axes, strict=True), strict=True))
    size = next(x.shape[axis] for x, axis in given.values() if axis is not None)
    if "kernel" in given and given["kernel"][1] is None:
        out = bind(*(_merge(x, axis, depth) for x, axis in given.values()), depth=depth)
        return out.reshape(*out.shape[:depth], size, -1, *out.shape[depth + 1 :]), depth
    return bind(*(_in_front(x, axis, size) for x, axis in given.values()), depth=depth + 1), 0


def _merge(x: jax.Array, axis: int | None, depth: int) -> jax.Array:
    """Makes `axis` a part of the batch, which lies behind `depth` others."""
    if axis is None:
        return x
    x = jnp.moveaxis(x, axis, depth)
    return x.reshape(*x.shape[:depth], -1, *x.shape[depth + 2 :])


def _in_front(x: jax.Array, axis: int | None, size: int) -> jax.Array:
    return jnp.broadcast_to(x[None], (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)


_lower_forms, _lower_onednn = (
    mlir.lower_fun(function, multiple_results=False) for function in (_on_cpu, _by_onednn)
)


def _lower_on_cpu(ctx: mlir.LoweringRuleContext, a: Any, b: Any, **static: Any) -> Any:
    """By oneDNN where it is the faster one, in programs of this process for one device.

    XLA does not cut what others compute over several devices, and an exported program runs where
    nobody has made oneDNN known to XLA.
    """
    module, problem, wanted = ctx.module_context, static["problem"], static["wanted"]
    alone = getattr(module.axis_context, "num_devices", None) == 1
    here = alone and not static["depth"] and not module.lowering_parameters.for_export
    arrays: Any = ctx.avals_in
    if here and onednn.pays(problem, wanted, *arrays):
        return _lower_onednn(ctx, a, b, **static)
    return _lower_forms(ctx, a, b, **static)


_primitive = Primitive("convolution_form")
_compiled = _jit(_primitive.bind)
_primitive.def_impl(_run)
_primitive.def_abstract_eval(_abstract)
ad.defbilinear(_primitive, partial(_cotangent, 0), partial(_cotangent, 1))
batching.primitive_batchers[_primitive] = _batched
mlir.register_lowering(_primitive, mlir.lower_fun(_elsewhere, multiple_results=False))
mlir.register_lowering(_primitive, _lower_on_cpu, platform="cpu")
