"""What cuDNN is asked for: the convolutions of a training step compiled for a GPU.

`python -m benchmarks.lowering` reads what `python -m benchmarks.plans --on h100:8` kept of every
recipe and stops with status 1 where a convolution has a window beyond every kernel of its network:
XLA then takes an image for a kernel, many times the work (`core.nn.xla_conv`).
"""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from benchmarks.results import RESULTS
from core.json_io import read_json
from core.plan.hlo import Computation, Instruction, parse
from core.types import Params

_CALL = re.compile(
    r"window=\{(size=[^}]*)\}.*?dim_labels=\w+_(\w+)->(\w+).*?"
    r"custom_call_target=\"__cudnn\$conv(\w+)\""
)
_FORWARD = (None, 1)
_OUTPUT_AND_KERNEL = {"BackwardInput": (0, 1), "BackwardFilter": (1, None)}
"""Which array of a call is on the output's side and which the kernel: an operand, or its result."""
_MOVES = ("copy", "transpose")
HEAD = (
    "| recipe | forward | of images | of kernels | their FLOPs : mathematics | largest window of "
    "kernel | copies, transposes | of bytes moved | collectives |"
)


class Convolution(NamedTuple):
    """One call of cuDNN.

    Args:
      kind: Forward, BiasActivationForward, BackwardInput or BackwardFilter.
      window: voxels per axis.
      flops: a product and a sum for every weight of every output.
    """

    kind: str
    window: tuple[int, ...]
    flops: float


def summary(program: str, params: Params) -> dict[str, Any]:
    """What is kept of one compiled step.

    Args:
      program: text of it.
      params: of the network, or their shapes.
    """
    computations, _ = parse(program)
    calls = [call for known in computations.values() for call in _convolutions(known)]
    moves = [i for known in computations.values() for i in known.values() if _is_move(i)]
    return {
        "convolutions": dict(Counter(call.kind for call in calls)),
        "convolution_flops": math.fsum(call.flops for call in calls),
        "largest_window": max((max(call.window) for call in calls), default=0),
        "largest_kernel": max(_kernel_sides(params), default=0),
        "moves": len(moves),
        "moved_bytes": 2 * math.fsum(move.result.memory for move in moves),
    }


def table_row(row: dict[str, Any]) -> str:
    """A row of `python -m benchmarks.plans` as a line under `HEAD`."""
    kernels, step = row["kernels"], row["step"]
    ratio = kernels["convolution_flops"] / step["flops"]
    counts = kernels["convolutions"]
    backward = [counts.get(kind, 0) for kind in ("BackwardInput", "BackwardFilter")]
    cells = [
        f"`{row['recipe']}`",
        sum(counts.values()) - sum(backward),  # some with what follows them
        *backward,
        f"{ratio:.2f}",
        f"{kernels['largest_window']} of {kernels['largest_kernel']}",
        kernels["moves"],
        f"{kernels['moved_bytes'] / step['moved_bytes']:.0%}",
        sum(sent["count"] for sent in step["collectives"].values()),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _convolutions(known: Computation) -> Iterator[Convolution]:
    for instruction in known.values():
        if instruction.opcode != "custom-call" or not (found := _CALL.search(instruction.text)):
            continue
        text, labels, out_labels, kind = found.groups()
        where = _OUTPUT_AND_KERNEL.get(kind, _FORWARD)
        output, kernel = (
            _dims(instruction if at is None else known[instruction.operands[at]]) for at in where
        )
        weights = math.prod(kernel) / kernel[labels.index("o")]
        window = tuple(int(n) for n in re.findall(r"\d+", text.split()[0]))
        if kind not in _OUTPUT_AND_KERNEL and "dilate" not in text:
            made = [output[out_labels.index(str(axis))] for axis in range(len(window))]
            window = _of_kernel(window, made)
        yield Convolution(kind, window, 2 * math.prod(output) * weights)


def _of_kernel(window: tuple[int, ...], made: list[int]) -> tuple[int, ...]:
    """Voxels of a kernel per axis, of a forward pass that makes so many.

    XLA takes the gradient of a kernel for a forward pass where the map is as small as the kernel
    along an axis: the map is the window then, and the kernel the output. Nothing is done in vain.
    """
    larger = [w > m for w, m in zip(window, made, strict=True)]
    is_small_map = any(larger) and not all(larger)
    return tuple(map(min, window, made)) if is_small_map else window


def _dims(instruction: Instruction) -> list[int]:
    """Sizes of its first array."""
    found = re.search(r"\[([\d,]*)\]", instruction.type)
    return [int(n) for n in found[1].split(",") if n] if found else []


def _is_move(instruction: Instruction) -> bool:
    """Whether it only lays an array out anew, alone or as a whole kernel named after that."""
    kernel = instruction.opcode == "fusion" and re.search(
        r"calls=%?(?:fused|wrapped)_(?:copy|transpose)", instruction.text
    )
    return bool(kernel) or instruction.opcode in _MOVES


def _kernel_sides(params: Params) -> Iterator[int]:
    """Voxels of the kernels of convolutions along every axis."""
    for array in jax.tree.leaves(params):
        yield from array.shape[:-2] if len(array.shape) > 2 else (1,)


def main() -> None:
    """Check every recipe that was compiled for a GPU."""
    status = 0
    for path in sorted((RESULTS / "plans").glob("*.json")):
        rows = [row for row in read_json(path) if "kernels" in row]
        beyond = [row for row in rows if _is_beyond(row["kernels"])]
        for row in beyond:
            print(f"{row['recipe']} on {row['machine']}: {row['kernels']}", file=sys.stderr)
            status = 1
        if rows and not beyond:
            print(f"{rows[0]['machine']}: {len(rows)} recipes, no window beyond its kernel")
    sys.exit(status)


def _is_beyond(kernels: dict[str, Any]) -> bool:
    return kernels["largest_window"] > kernels["largest_kernel"]


if __name__ == "__main__":
    main()
