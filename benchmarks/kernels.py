"""Kernels and their gradients beside PyTorch's; distances and resampling beside all that do it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness, routines
from benchmarks.kernel_shapes import Kernel, kernels
from benchmarks.suites import Item


def items() -> list[Item]:
    """Every kernel, then every routine."""
    of_kernels = [Item(k.title, "kernels", partial(measure, k)) for k in kernels()]
    return of_kernels + routines.items(routines.ROUTINES, "kernels")


def measure(kernel: Kernel, repeats: int) -> list[harness.Row]:
    """Rows of one kernel: its value, and its gradients from a given output gradient."""
    host = kernel.arrays()
    arrays = [jnp.asarray(a) for a in host]
    ours = partial(kernel.ours, **kernel.options)
    grad = np.random.default_rng(1).standard_normal(jax.eval_shape(ours, *arrays).shape, np.float32)
    # As in a network, nobody asks for the gradient of the image itself.
    wanted = 1 if host[0].shape[-1] in (1, 3) else 0
    forward = harness.compile_step(ours, *arrays)
    backward = harness.compile_step(_gradients(ours, wanted), arrays, out_grad := jnp.asarray(grad))
    runs = {"value": lambda: forward(*arrays), "gradients": lambda: backward(arrays, out_grad)}
    torch = harness.peer_module("torch_kernels")
    twins = torch.twins(kernel.name, host, kernel.options, grad, wanted) if torch else {}
    return [
        harness.compare(
            f"{kernel.title} {what}",
            run,
            twins[what].run if twins else None,
            peer_name=torch.NAME if torch else "",
            equal=lambda a, b, what=what: _equal(a, twins[what].arrays(b)),
            repeats=repeats,
        )
        for what, run in runs.items()
    ]


def _gradients(function: Callable[..., jax.Array], wanted: int) -> Callable[..., Any]:
    """Vector–Jacobian products with respect to the arguments from number `wanted` on."""

    def pull_back(args: list[jax.Array], grad: jax.Array) -> Any:
        given, free = args[:wanted], args[wanted:]
        return jax.vjp(lambda *rest: function(*given, *rest), *free)[1](grad)

    return pull_back


def _equal(ours: Any, peer: Any) -> bool:
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(peer), strict=True)
    return all(harness.agree(a, b) for a, b in pairs)
