"""Kernels and their gradients beside PyTorch's; distances and resampling beside all that do it."""

from collections.abc import Callable
from functools import partial
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness, routines
from benchmarks.kernel_shapes import Kernel, kernels
from benchmarks.suites import Item
from core.nn.conv import direct, direct_transpose


def items() -> list[Item]:
    """Every kernel, every routine, and, in no group, every convolution beside XLA's own."""
    made = kernels()
    of_kernels = [Item(k.title, "kernels", partial(measure, k)) for k in made]
    of_xla = [
        Item(f"{k.title}, XLA's own", "kernels-xla", partial(measure_forms, k), ())
        for k in made
        if k.name in XLA
    ]
    return of_kernels + routines.items(routines.ROUTINES, "kernels") + of_xla


def measure(kernel: Kernel, repeats: int) -> list[harness.Row]:
    """Rows of one kernel: its value, and its gradients from a given output gradient."""
    host, grad = kernel.arrays(), kernel.out_grad()
    torch = harness.peer_module("torch_kernels")
    twins = torch.twins(kernel.name, host, kernel.options, grad, kernel.wanted) if torch else {}
    return [
        harness.compare(
            f"{kernel.title} {what}",
            run,
            twins[what].run if twins else None,
            peer_name=torch.NAME if torch else "",
            equal=lambda a, b, what=what: _equal(a, twins[what].arrays(b)),
            repeats=repeats,
        )
        for what, run in _runs(kernel, partial(kernel.ours, **kernel.options)).items()
    ]


def measure_forms(kernel: Kernel, repeats: int) -> list[harness.Row]:
    """Rows of one convolution beside XLA's own, where ours has another form on this platform."""
    ours = _runs(kernel, partial(kernel.ours, **kernel.options))
    xla = _runs(kernel, partial(XLA[kernel.name], **kernel.options))
    return [
        harness.compare(
            f"{kernel.title} {what}, XLA's own",
            ours[what],
            xla[what],
            peer_name=f"XLA of jaxlib {metadata.version('jaxlib')}",
            equal=_equal,
            repeats=repeats,
        )
        for what in ours
    ]


def _conv(image: jax.Array, kernel: jax.Array, padding: Any, stride: Any = 1, groups: int = 1):
    axes = image.ndim - 2
    strides, pads = (np.broadcast_to(v, axes).tolist() for v in (stride, padding))
    return direct(image, kernel, strides, pads, groups)


XLA = {"conv": _conv, "conv_transpose": partial(direct_transpose, stride=2)}


def _runs(kernel: Kernel, function: Callable[..., jax.Array]) -> dict[str, harness.Run]:
    """Compiled value and gradients."""
    arrays, grad = [jnp.asarray(a) for a in kernel.arrays()], jnp.asarray(kernel.out_grad())
    forward = harness.compile_step(function, *arrays)
    backward = harness.compile_step(_gradients(function, kernel.wanted), arrays, grad)
    return {"value": lambda: forward(*arrays), "gradients": lambda: backward(arrays, grad)}


def _gradients(function: Callable[..., jax.Array], wanted: int) -> Callable[..., Any]:
    """Vector–Jacobian products with respect to the arguments from number `wanted` on."""

    def pull_back(args: list[jax.Array], grad: jax.Array) -> Any:
        given, free = args[:wanted], args[wanted:]
        return jax.vjp(lambda *rest: function(*given, *rest), *free)[1](grad)

    return pull_back


def _equal(ours: Any, peer: Any) -> bool:
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(peer), strict=True)
    return all(harness.agree(a, b) for a, b in pairs)
