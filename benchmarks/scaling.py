"""A training step on 1, 2, 4 and 8 devices: equal results, and what the collectives cost.

On a CPU the devices are forced, and share the same cores: what a step takes longer than on one
device is what parting the batch and the collectives cost. A process of its own has them.
"""

import re
from collections.abc import Sequence
from functools import partial
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec

from benchmarks import harness
from benchmarks.step import train_step
from benchmarks.subjects import Subject
from benchmarks.subjects.s4c import subject
from benchmarks.suites import Item
from core import compiler, sharding

COUNTS = (1, 2, 4, 8)
NUM_STEPS = 2
FORCED = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={COUNTS[-1]}"}
ATOL, RTOL = 2e-4, 2e-3
"""Sums over the batch are taken in another order: a few roundings, grown by the batch norms."""


def items() -> list[Item]:
    """One network: the smallest of S4C, whose batch all counts divide."""
    return [Item("s4c/tiny-16 on 1 to 8 devices", "scaling", _measure, ("cpu",))]


def _measure(repeats: int) -> list[harness.Row]:
    return harness.in_a_process(_alone_with_devices, "tiny-16", repeats, env=FORCED)


def _alone_with_devices(name: str, repeats: int) -> list[harness.Row]:
    # Programs for several CPU devices that come back from the cache can abort (`core.sharding`).
    jax.config.update("jax_enable_compilation_cache", False)
    return on_devices(subject(name, "float32"), COUNTS, repeats)


def on_devices(subject: Subject, counts: Sequence[int], repeats: int) -> list[harness.Row]:
    """A row for each number of devices that there are; `equal` is to the first."""
    rows: list[harness.Row] = []
    first = None
    for count in (count for count in counts if count <= len(jax.devices())):
        row, params = _row(subject, sharding.mesh(jax.devices()[:count]), repeats)
        first = params if first is None else first
        rows.append(row | {"equal": _equal(first, params)})
    return rows


def _row(subject: Subject, mesh: Mesh, repeats: int) -> tuple[harness.Row, Any]:
    """Times of one mesh, and the parameters after `NUM_STEPS`."""
    variables = jax.tree.map(jnp.asarray, subject.init(jax.random.key(0)))
    moving = variables, subject.tx.init(variables["params"])
    batch = {"image": subject.image, "truth": subject.truth}
    moving = jax.device_put(moving, sharding.replicated(moving, mesh))
    placed = sharding.shard_batch(batch, mesh)
    step = harness.compile_step(partial(train_step, subject), moving, *placed.values())
    for _ in range(NUM_STEPS):
        moving, _ = step(moving, *placed.values())
    params = jax.tree.map(np.asarray, moving[0]["params"])
    sizes = collectives(step.as_text())
    places = "1 device" if mesh.size == 1 else f"{mesh.size} devices"
    title = f"{subject.title} training step on {places}"
    row = harness.compare(title, lambda: step(moving, *placed.values()), repeats=repeats)
    alone = _alone(sizes, mesh)
    taken, _ = harness.turns({"ours": alone}, repeats)
    return row | {
        "collectives": len(sizes),
        "collective_bytes": sum(sizes),
        "collectives_s": float(np.median(taken["ours"])) if sizes else 0.0,
    }, params


def collectives(program: str) -> list[int]:
    """Bytes that each all-reduce of a compiled program sums, on every device."""
    shapes = re.findall(r"= (\([^=]*?\)|\S+) all-reduce(?:-start)?\(", program)
    return [sum(map(_bytes, re.findall(r"f32\[([\d,]*)\]", shape))) for shape in shapes]


def _bytes(dims: str) -> int:
    return 4 * prod(int(n) for n in dims.split(",") if n)


def _alone(sizes: list[int], mesh: Mesh) -> harness.Run:
    """All-reduces of these bytes and nothing else, one after the other."""
    spec = PartitionSpec()

    def reduce(arrays: list[jax.Array]) -> list[jax.Array]:
        return [lax.psum(array, "data") for array in arrays]

    arrays = [jnp.zeros(size // 4) for size in sizes]
    arrays = jax.device_put(arrays, sharding.replicated(arrays, mesh))
    mapped = jax.shard_map(reduce, mesh=mesh, in_specs=spec, out_specs=spec)
    program = compiler.jit(mapped).lower(arrays).compile()
    return lambda: program(arrays)


def _equal(single: Any, params: Any) -> bool:
    pairs = zip(jax.tree.leaves(single), jax.tree.leaves(params), strict=True)
    return all(np.allclose(b, a, rtol=RTOL, atol=ATOL) for a, b in pairs)
