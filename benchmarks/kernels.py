"""The kernels at their shapes in ResDSN and in DAF-Net: `python -m benchmarks.kernels`."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks import harness, routines
from core.nn.conv import conv, conv_transpose
from core.nn.pool import max_pool

CONVS = [(2, 64, 1, 32), (2, 64, 32, 32), (2, 32, 64, 64), (2, 16, 128, 128), (2, 8, 256, 256)]
CONVS += [(1, 64, 8, 8), (6, 32, 8, 8), (24, 16, 8, 8)]
TRANSPOSED = [(2, 8, 256, 128), (2, 16, 128, 64), (2, 32, 64, 32), (6, 16, 16, 8)]
NNUNET = [(32, 32, 64, (3, 3, 3), (2, 2, 2)), (32, 32, 64, (3, 3, 3), (1, 2, 2))]
NNUNET += [(64, 1, 32, (1, 3, 3), (1, 1, 1)), (32, 32, 32, (1, 3, 3), (1, 1, 1))]
NNUNET += [(32, 32, 64, (1, 3, 3), (1, 2, 2)), (32, 32, 32, (3, 1, 1), (1, 1, 1))]
"""Side, channels in and out, kernel, stride: what an nnU-Net has besides, in batches of 2."""
BLOCKS = [(16, 64, 32, (2, 2, 2)), (32, 64, 32, (1, 2, 2))]
"""Side, channels in and out, kernel and stride of a transposed convolution."""
POOLS = [(2, 64, 32)]
"""Batch, side, channels in and out: full width at 64³, and width 8 at the demo's batches."""


IMAGE_CONVS = [(64, 64, 64, 3, 1, 1), (64, 128, 64, 3, 1, 1), (64, 256, 64, 3, 1, 1)]
IMAGE_CONVS += [(64, 128, 128, 3, 1, 32), (32, 256, 256, 3, 1, 32), (16, 512, 512, 3, 1, 32)]
IMAGE_CONVS += [(8, 1024, 1024, 3, 1, 32), (64, 256, 256, 3, 2, 32), (32, 512, 512, 3, 2, 32)]
IMAGE_CONVS += [(64, 64, 128, 3, 2, 1), (256, 3, 64, 7, 2, 1)]
IMAGE_CONVS += [(16, 1024, 512, 1, 1, 1), (32, 512, 1024, 1, 2, 1)]
"""Side, channels in and out, kernel, stride and groups: what DAF-Net and a ResNet are made of."""


PEERS = ("torch", "scipy", "edt", "batchgeneratorsv2")


class Kernel(NamedTuple):
    """One kernel at one shape."""

    title: str
    name: str
    ours: Callable[..., jax.Array]
    args: tuple[np.ndarray, ...]
    options: dict[str, Any]


def kernels() -> list[Kernel]:
    """Every kernel with random arguments."""
    return [*_of_volumes(), *_of_nnunet(), *_of_images()]


def _of_volumes() -> list[Kernel]:
    def title(name: str, n: int, side: int, *channels: int) -> str:
        return f"{name} {n} × {side}³ × {' → '.join(str(c) for c in channels)}"

    def volume(n: int, side: int, channels: int) -> np.ndarray:
        return _normal(n, side, side, side, channels)

    found = [
        Kernel(
            title("conv 3³", n, side, i, o),
            "conv",
            conv,
            (volume(n, side, i), _normal(3, 3, 3, i, o)),
            {"padding": 1},
        )
        for n, side, i, o in CONVS
    ]
    found += [
        Kernel(
            title("transposed conv 4³ / 2", n, side, i, o),
            "conv_transpose",
            conv_transpose,
            (volume(n, side, i), _normal(4, 4, 4, i, o)),
            {},
        )
        for n, side, i, o in TRANSPOSED
    ]
    return found + [
        Kernel(
            title("max-pool 2³", n, side, c),
            "max_pool",
            max_pool,
            (volume(n, side, c),),
            {"window": 2},
        )
        for n, side, c in POOLS
    ]


def _of_nnunet() -> list[Kernel]:
    found = []
    for side, i, o, size, stride in NNUNET:
        options = {"padding": tuple(k // 2 for k in size), "stride": stride}
        title = f"conv {_times(size)} / {_times(stride)} 2 × {side}³ × {i} → {o}"
        args = _normal(2, side, side, side, i), _normal(*size, i, o)
        found.append(Kernel(title, "conv", conv, args, options))
    for side, i, o, size in BLOCKS:
        title = f"transposed conv {_times(size)} 2 × {side}³ × {i} → {o}"
        args = _normal(2, side, side, side, i), _normal(*size, i, o)
        found.append(Kernel(title, "conv_transpose", conv_transpose, args, {"stride": size}))
    return found


def _times(values: tuple[int, ...]) -> str:
    return "×".join(str(v) for v in values)


def _of_images() -> list[Kernel]:
    found = []
    for side, i, o, size, stride, groups in IMAGE_CONVS:
        kind = f"conv {size}²" + (f" / {stride}" if stride > 1 else "")
        kind += f" in {groups} groups" if groups > 1 else ""
        options = {"padding": size // 2, "stride": stride, "groups": groups}
        args = _normal(2, side, side, i), _normal(size, size, i // groups, o)
        found.append(Kernel(f"{kind} 2 × {side}² × {i} → {o}", "conv", conv, args, options))
    return [
        *found,
        Kernel(
            "max-pool 3² / 2 2 × 128² × 64",
            "max_pool",
            max_pool,
            (_normal(2, 128, 128, 64),),
            {"window": 3, "stride": 2, "padding": 1},
        ),
    ]


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def main() -> None:
    """Time every kernel and its gradients and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--peer",
        type=_peers,
        default={},
        metavar="NAMES",
        help=f"compare with these, of {', '.join(PEERS)}, and leave out what they do not have",
    )
    parser.add_argument("--only", default="", help="kernels whose title has this in it")
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    torch = args.peer.get("torch")
    chosen = [] if args.peer and not torch else [k for k in kernels() if args.only in k.title]
    rows = [row for kernel in chosen for row in measure(kernel, torch, args.repeats)]
    for routine in routines.ROUTINES:
        if args.only in routine.title:
            rows += routines.measure(routine, args.peer, args.repeats)
    harness.save("kernels", rows)


def _peers(names: str) -> dict[str, Any]:
    """Modules of peers by name, from a list with commas."""
    if unknown := set(names.split(",")) - set(PEERS):
        raise argparse.ArgumentTypeError(f"no such peer: {', '.join(sorted(unknown))}")
    return {name: harness.peer_module(f"{name}_kernels") for name in names.split(",")}


def measure(kernel: Kernel, peers: Any, repeats: int) -> list[harness.Row]:
    """Rows of one kernel: its value, and its gradients from a given output gradient."""
    arrays = [jax.numpy.asarray(a) for a in kernel.args]
    ours = partial(kernel.ours, **kernel.options)
    grad = np.random.default_rng(1).standard_normal(jax.eval_shape(ours, *arrays).shape, np.float32)
    # As in a network, nobody asks for the gradient of the image itself.
    wanted = 1 if kernel.args[0].shape[-1] in (1, 3) else 0
    forward = harness.compile_step(ours, *arrays)
    backward = harness.compile_step(_gradients(ours, wanted), arrays, grad)
    runs = {"value": lambda: forward(*arrays), "gradients": lambda: backward(arrays, grad)}
    twins = peers.runs(kernel.name, kernel.args, kernel.options, grad, wanted) if peers else {}
    return [
        harness.compare(
            f"{kernel.title} {what}",
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
