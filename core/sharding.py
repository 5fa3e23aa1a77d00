"""Where arrays live: a mesh of devices, and rules that place a state or a batch on it.

A rule takes a tree of arrays (or shapes) and a mesh and returns a tree of shardings; a model never
knows. Batch statistics under these rules are those of the global batch, not of each device's part.
"""

import logging
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from core.errors import InputError
from core.types import Batch

logger = logging.getLogger(__name__)

Rule = Callable[[Any, Mesh], Any]
"""(tree of arrays or shapes, mesh) → the same tree of `NamedSharding`."""

MIN_SHARDED_SIZE = 2**16
"""Arrays of fewer elements stay whole under `fsdp`: gathering them costs more than they weigh."""


def distributed() -> None:
    """Join the processes of a multi-host run; call it once, before anything asks for devices.

    Clusters that JAX knows (TPU pods, Slurm, Open MPI, Kubernetes) need no settings. Elsewhere set
    JAX_COORDINATOR_ADDRESS (host:port of the first process), JAX_NUM_PROCESSES, JAX_PROCESS_ID.
    """
    number, index = (os.environ.get(f"JAX_{name}") for name in ("NUM_PROCESSES", "PROCESS_ID"))
    jax.distributed.initialize(
        num_processes=int(number) if number else None, process_id=int(index) if index else None
    )
    if jax.default_backend() == "cpu":
        # Programs for CPU that come back from the cache let their collectives overtake each other,
        # and hosts that wait in different ones fail: jaxlib 0.10.2, whenever a run starts again.
        jax.config.update("jax_enable_compilation_cache", False)


def mesh(devices: Sequence[Any] | None = None, *, space: int = 1) -> Mesh:
    """Mesh of all devices along `data`, or along `data` × `space`.

    Args:
      devices: the devices to use; all of them, on every host, by default.
      space: how many devices share one image, for `spatial`; must divide their number.
    """
    devices = jax.devices() if devices is None else devices
    if len(devices) % space:
        raise ValueError(f"{len(devices)} devices cannot be split into groups of space={space}")
    if space == 1:
        return Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
    grid = np.array(devices).reshape(-1, space)
    return Mesh(grid, ("data", "space"), axis_types=(AxisType.Auto, AxisType.Auto))


def mesh_of_batch(batch: int, *, space: int = 1) -> Mesh:
    """Mesh of the most devices whose number along `data` divides a batch, as many on every host.

    Args:
      batch: examples of a global batch.
      space: devices that share an image, all of one host.

    Raises:
      InputError: the hosts do not divide the batch, or a host has no group of so many devices.
    """
    hosts, num_local = jax.process_count(), jax.local_device_count()
    if batch % hosts:
        raise InputError(f"a batch of {batch} cannot be shared by {hosts} hosts")
    if not 1 <= space <= num_local:
        raise InputError(
            f"--space must be from 1 to the {num_local} devices of a host; got {space}"
        )
    used = num_sharing(batch // hosts, num_local // space) * space
    if used < num_local:
        text = "a batch of %d is trained on %d of %d devices, which divide it"
        logger.warning(text, batch, used * hosts, num_local * hosts)
    by_host: dict[int, list[Any]] = {}
    for device in jax.devices():
        by_host.setdefault(device.process_index, []).append(device)
    return mesh([d for of_host in by_host.values() for d in of_host[:used]], space=space)


def num_sharing(num_examples: int, num_devices: int) -> int:
    """The most devices that can share some examples equally."""
    return max(n for n in range(1, num_devices + 1) if num_examples % n == 0)


def replicated(tree: Any, mesh: Mesh) -> Any:
    """Rule for a state: every device holds all of it."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), tree)


def fsdp(tree: Any, mesh: Mesh) -> Any:
    """Rule for a state: each large array is cut over `data` along its largest axis that fits."""
    parts = mesh.shape["data"]

    def place(array: Any) -> NamedSharding:
        fitting = [size if size % parts == 0 else 0 for size in array.shape]
        if math.prod(array.shape) < MIN_SHARDED_SIZE or not any(fitting):
            return NamedSharding(mesh, PartitionSpec())
        axis = fitting.index(max(fitting))
        return NamedSharding(mesh, PartitionSpec(*[None] * axis, "data"))

    return jax.tree.map(place, tree)


def split_batch(batch: Any, mesh: Mesh) -> Any:
    """Rule for a batch: the leading axis is cut over `data`."""
    return jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec("data")), batch)


def spatial(batch: Any, mesh: Mesh) -> Any:
    """Rule for a batch of large images: also cut axis 1 of images and labels over `space`.

    Images and labels are the arrays of three or more axes, (n, h, w) the smallest. What `space`
    does not divide stays whole.
    """
    cut, whole, parts = PartitionSpec("data", "space"), PartitionSpec("data"), mesh.shape["space"]

    def place(array: Any) -> NamedSharding:
        is_cut = array.ndim >= 3 and array.shape[1] % parts == 0
        return NamedSharding(mesh, cut if is_cut else whole)

    return jax.tree.map(place, batch)


def shard_batch(batch: Batch, mesh: Mesh, rule: Rule = split_batch) -> Batch:
    """Put a batch on the mesh.

    Args:
      batch: host arrays with a leading axis n: the part of the global batch that this process
        loads, which is all of it on a single host.
      mesh: the devices.
      rule: how to cut it.

    Returns:
      Global arrays, n times the number of processes long.

    Raises:
      ValueError: a global batch that the devices cannot share equally.
    """
    for name, array in batch.items():
        _check_divisible(name, len(array), mesh.shape["data"])
    place = jax.make_array_from_process_local_data
    return jax.tree.map(place, rule(batch, mesh), dict(batch))


def _check_divisible(name: str, num_local: int, num_devices: int) -> None:
    total, hosts = num_local * jax.process_count(), jax.process_count()
    if total % num_devices:
        lower = total // num_devices * num_devices
        tries = f"{lower} or {lower + num_devices}" if lower else f"{num_devices}"
        raise ValueError(
            f"a global batch of {total} ({name!r}: {num_local} on each of {hosts} hosts) must be "
            f"divisible by {num_devices} devices; {total} = {total // num_devices} · {num_devices}"
            f" + {total % num_devices}; try {tries}"
        )
