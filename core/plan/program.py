"""A recipe's programs, compiled for a machine: what each chip holds, computes and moves."""

import math
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax

from core import compiler, sharding
from core.errors import InputError
from core.plan.job import Job
from core.plan.machine import Machine
from core.plan.traffic import moved
from core.train import state as states
from core.train.state import State
from core.train.step import lower_step, make_step

_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Program(NamedTuple):
    """One program as its compiler sees it.

    Args:
      chips: that share it.
      examples: in one call, over all chips.
      peak_bytes: that a chip holds at once.
      argument_bytes: of what stays between calls and what comes in, on a chip.
      flops: that the mathematics of a chip's share takes, whatever the kernels do.
      moved_bytes: that the kernels of a chip read and write; nan where it did not compile.
      collectives: kind → how often, and bytes on a chip.
      compile_seconds: on this machine.
      text: the compiled program; "" where it did not compile.
    """

    chips: int
    examples: int
    peak_bytes: float
    argument_bytes: float
    flops: float
    moved_bytes: float
    collectives: Mapping[str, tuple[int, float]]
    compile_seconds: float
    text: str = ""


def training_step(
    job: Job, batch: Any, machine: Machine, *, fsdp: bool = False, space: int = 1
) -> Program:
    """The step that `train` runs, on as many chips as divide the batch.

    Args:
      job: what is trained.
      batch: one of its batches, of which the shapes count.
      machine: to compile for.
      fsdp: cut the state over the chips.
      space: chips that share one example.

    Raises:
      InputError: the chips cannot share the examples so.
    """
    mesh = _mesh(machine.devices, job.batch, space)
    cut = sharding.spatial if space > 1 else sharding.split_batch
    state, shapes = state_of(job), _shapes(batch)
    whole = make_step(job.task, job.run.seed), state, shapes
    _require_divisible(shapes, space)
    placed = _placed(state, (sharding.fsdp if fsdp else sharding.replicated)(state, mesh))
    lowered = lower_step(job.task, job.run.seed, placed, _placed(shapes, cut(shapes, mesh)))
    return _read(lowered, machine, mesh.size, job.batch, _flops(*whole))


def inference(job: Job, machine: Machine) -> Program:
    """One call of inference, its examples shared by as many chips as divide them."""
    arrays, state = job.arrays(len(machine.devices)), state_of(job)
    num = arrays[0].shape[0]
    mesh = _mesh(machine.devices, num, 1)
    trained = (state.params, state.model_state)
    ask = compiler.jit(job.ask, platform=machine.devices[0].platform)
    lowered = ask.lower(
        *_placed(trained, sharding.replicated(trained, mesh)),
        *_placed(arrays, sharding.split_batch(arrays, mesh)),
    )
    return _read(lowered, machine, mesh.size, num, _flops(job.ask, *trained, *arrays))


def state_of(job: Job) -> State:
    """Shapes of all that a training changes."""
    return jax.eval_shape(partial(states.create, job.task, job.run.seed))


def num_bytes(tree: Any) -> int:
    """Of all arrays, or shapes, of a tree."""
    return sum(math.prod(a.shape) * a.dtype.itemsize for a in jax.tree.leaves(tree))


def _mesh(devices: Sequence[Any], num: int, space: int) -> jax.sharding.Mesh:
    """The most devices that can share a number of examples, as `sharding.mesh_of_batch` takes."""
    if not 1 <= space <= len(devices):
        raise InputError(f"--space must be from 1 to the {len(devices)} chips; got {space}")
    groups = sharding.num_sharing(num, len(devices) // space)
    return sharding.mesh(devices[: groups * space], space=space)


def _require_divisible(shapes: Mapping[str, jax.ShapeDtypeStruct], space: int) -> None:
    for name, array in shapes.items():
        if array.ndim >= 3 and array.shape[1] % space:
            raise InputError(
                f"--space {space} does not divide the {array.shape[1]} voxels of {name!r}"
            )


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)


def _placed(tree: Any, places: Any) -> Any:
    return jax.tree.map(
        lambda a, place: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), tree, places
    )


def _flops(function: Any, *args: Any) -> float:
    """Of the mathematics: of the forms without loops, which accelerators get."""
    lowered = jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",))
    cost: Any = lowered.cost_analysis()
    return cost["flops"]


def _read(
    lowered: jax.stages.Lowered, machine: Machine, chips: int, examples: int, flops: float
) -> Program:
    start = time.perf_counter()
    try:
        compiled = lowered.compile(dict(machine.options))
    except jax.errors.JaxRuntimeError as error:
        if (peak := _wanted(str(error))) is None:
            raise
        return Program(chips, examples, peak, math.nan, flops / chips, math.nan, {}, math.nan)
    seconds, text = time.perf_counter() - start, compiled.as_text() or ""
    memory, collectives = moved(text)
    analysis: Any = compiled.memory_analysis()
    return Program(
        chips,
        examples,
        compiler.peak_bytes(compiled),
        analysis.argument_size_in_bytes,
        flops / chips,
        memory,
        collectives,
        seconds,
        text,
    )


_NO_ROOM = re.compile(
    r"RESOURCE_EXHAUSTED.*?(?:Used |memory required for HLO temporaries \()([\d.]+)([KMGT])",
    re.DOTALL,
)
"""What XLA says for TPUs, which depends on the pass that found it out."""


def _wanted(message: str) -> float | None:
    """Bytes that a compiler wanted, or of the temporaries alone, and a chip does not have.

    None of another failure.

    >>> _wanted("RESOURCE_EXHAUSTED: Ran out of memory in memory space hbm. Used 20.00G of 15.75G")
    21474836480.0
    >>> _wanted("RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for HLO "
    ...     "temporaries (16.50G) exceeds available HBM (15.75G).")
    17716740096.0
    """
    if (said := _NO_ROOM.search(message)) is None:
        return None
    return float(said[1]) * _UNITS[said[2]]
