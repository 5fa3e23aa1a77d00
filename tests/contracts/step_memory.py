"""Run as a script: what the plan of a recipe's step says that it needs, and what it takes.

`python -m tests.contracts.step_memory s4c pdac-64 '{"data.batch": 4}'` prints both in bytes.
"""

import gc
import json
import sys
from importlib import import_module
from pathlib import Path

import jax
import jax.numpy as jnp

from core import compiler, config, malloc, sharding
from core.plan.job import host_work
from core.plan.program import state_of
from core.train.step import lower_step

STEPS = 5
"""The least peak counts: what the allocator keeps of freed memory comes on top, and varies."""


def main() -> None:
    """Compile the step, then run it a few times and look at the peak of each."""
    paper, recipe, choices = sys.argv[1:]
    cfg = config.overridden(import_module(f"{paper}.cli").RECIPES[recipe], json.loads(choices))
    job = import_module(f"{paper}.plan").job_of(cfg)
    batch, mesh = dict(host_work(job).batch), sharding.mesh(jax.devices()[:1])
    shapes = state_of(job)
    places = sharding.replicated(shapes, mesh)
    placed = jax.tree.map(_at, shapes, places)
    there = jax.tree.map(_at, batch, sharding.split_batch(batch, mesh))
    compiled = lower_step(job.task, job.run.seed, placed, there).compile()
    start = jax.jit(lambda: jax.tree.map(_ones, shapes), out_shardings=places).lower().compile()
    gc.collect()
    malloc.keep_freed()  # as a training does; what was freed before would be free for it
    before = _status_bytes("VmRSS")
    state = start()
    on_device = sharding.shard_batch({name: array.copy() for name, array in batch.items()}, mesh)
    peaks = []
    for _ in range(STEPS):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
        state, metrics = compiled(state, on_device)
        jax.block_until_ready((state, metrics))
        peaks.append(_status_bytes("VmHWM"))
    measured = min(peaks) - before
    print(json.dumps({"planned": compiler.peak_bytes(compiled), "measured": measured}))


def _at(array, place):
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=place)


def _ones(shape):
    return jnp.ones(shape.shape, shape.dtype)


def _status_bytes(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
