"""The kernels of the 3D networks at their shapes in ResDSN: `python -m benchmarks.kernels`."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import harness
from core.nn.conv import conv, conv_transpose
from core.nn.pool import max_pool

CONVS = [(2, 64, 1, 32), (2, 64, 32, 32), (2, 32, 64, 64), (2, 16, 128, 128), (2, 8, 256, 256)]
CONVS += [(1, 64, 8, 8), (6, 32, 8, 8), (24, 16, 8, 8)]
TRANSPOSED = [(2, 8, 256, 128), (2, 16, 128, 64), (2, 32, 64, 32), (6, 16, 16, 8)]
POOLS = [(2, 64, 32)]
"""Batch, side, channels in and out: full width at 64³, and width 8 at the demo's batches."""


class Kernel(NamedTuple):
    """One kernel at one shape."""

    name: str
    ours: Callable[..., jax.Array]
    peer: str
    args: tuple[np.ndarray, ...]


def kernels() -> list[Kernel]:
    """Every kernel with random arguments."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    def title(name: str, n: int, side: int, *channels: int) -> str:
        return f"{name} {n} × {side}³ × {' → '.join(str(c) for c in channels)}"

    found = [
        Kernel(
            title("conv 3³", n, side, i, o),
            lambda x, k: conv(x, k, padding=1),
            "conv",
            (normal(n, side, side, side, i), normal(3, 3, 3, i, o)),
        )
        for n, side, i, o in CONVS
    ]
    found += [
        Kernel(
            title("transposed conv 4³ / 2", n, side, i, o),
            conv_transpose,
            "conv_transpose",
            (normal(n, side, side, side, i), normal(4, 4, 4, i, o)),
        )
        for n, side, i, o in TRANSPOSED
    ]
    return found + [
        Kernel(
            title("max-pool 2³", n, side, c),
            max_pool,
            "max_pool",
            (normal(n, side, side, side, c),),
        )
        for n, side, c in POOLS
    ]


def main() -> None:
    """Time every kernel and its gradients and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", choices=["torch"], help="compare with its kernels")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    peers = harness.peer_module("torch_kernels") if args.peer else None
    rows = [row for kernel in kernels() for row in measure(kernel, peers, args.repeats)]
    harness.save("kernels", rows)


def measure(kernel: Kernel, peers: Any, repeats: int) -> list[harness.Row]:
    """Rows of one kernel: its value, and its gradients from a given output gradient."""
    arrays = [jax.numpy.asarray(a) for a in kernel.args]
    grad = np.random.default_rng(1).standard_normal(
        jax.eval_shape(kernel.ours, *arrays).shape, np.float32
    )
    # As in a network, nobody asks for the gradient of a one-channel image.
    wanted = 1 if kernel.args[0].shape[-1] == 1 else 0
    forward = harness.compile_step(kernel.ours, *arrays)
    backward = harness.compile_step(_gradients(kernel.ours, wanted), arrays, grad)
    runs = {"value": lambda: forward(*arrays), "gradients": lambda: backward(arrays, grad)}
    twins = peers.runs(kernel.peer, kernel.args, grad, wanted) if peers else {}
    return [
        harness.compare(
            f"{kernel.name} {what}",
            run,
            twins.get(what),
            peer_name=peers.NAME if peers else "",
            equal=_equal(run(), twins[what]()) if peers else None,
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


if __name__ == "__main__":
    main()
