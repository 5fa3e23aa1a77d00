"""A machine by its name: devices that only a compiler knows, and what each has."""

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from core.errors import InputError
from core.plan.chips import GPUS, TPUS, Chip

KNOWN = "cpu, h100:N and a100:N of up to 8, slices such as v5e:4x4 and v5p:2x2x4"
_ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}
"""Tells `libtpu` not to look for the machines of a slice, nor to lock chips that are not used."""
_ONE_CHIP: dict[str, Any] = {"chips_per_host_bounds": [1, 1, 1]}
_NO_TIMING = {"xla_gpu_enable_triton_gemm": False}
"""Which tiles a matrix product has is found by timing them; without a GPU the first guess counts,
and XLA stops where that does not fit, as at 300 × 320 × 1280. cuBLAS needs none."""


class Machine(NamedTuple):
    """Chips that compute together.

    Args:
      name: "h100:8".
      chip: what each has.
      devices: to compile for.
      options: of that compiler.
    """

    name: str
    chip: Chip
    devices: Sequence[Any]
    options: Mapping[str, str | bool] = MappingProxyType({})


def machine(name: str) -> Machine:
    """The machine of a name; it need not be here, but for "cpu", which is this one's.

    Raises:
      InputError: no such machine, or its compiler is not installed.
    """
    kind, _, layout = name.partition(":")
    if name == "cpu":
        return Machine(name, _this_cpu(), jax.devices("cpu")[:1])
    if kind in GPUS and re.fullmatch("[1-8]", layout):
        _require("jax_cuda12_plugin", "cuda12", name)
        found = topologies.get_topology_desc(
            platform="cuda", target_config=GPUS[kind].target, topology=f"1x1x{layout}"
        )
        return Machine(name, GPUS[kind], found.devices, _NO_TIMING)
    if kind in TPUS and re.fullmatch("[0-9]+(x[0-9]+){1,2}", layout):
        _require("libtpu", "tpu", name)
        return Machine(name, TPUS[kind], _slice(name))
    raise InputError(f"unknown machine {name!r}", hint=f"known are {KNOWN}")


def _require(module: str, extra: str, name: str) -> None:
    if find_spec(module) is None:
        raise InputError(
            f"the compiler for {name} is not installed",
            hint=f"pip install 'panjax[{extra}]'; the chips themselves are not needed",
        )


def _slice(name: str) -> Sequence[Any]:
    for variable, value in _ALONE.items():
        os.environ.setdefault(variable, value)
    # A host has four chips or more, unless it is told that it has one.
    alone = {} if re.search("[02-9]|1[0-9]", name.partition(":")[2]) else _ONE_CHIP
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=name, **alone)
        return found.devices
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        text = " ".join(str(error).split())[:160]
        raise InputError(f"{name} is no slice that libtpu knows ({text})") from None


def _this_cpu() -> Chip:
    """What this machine's cores and memory do, measured in half a second."""
    square, long = jnp.ones((1024, 1024)), jnp.ones(2**24)
    product = 2 * 1024**3 / _seconds(jnp.dot, square, square)
    copy = 2 * long.nbytes / _seconds(jnp.negative, long)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    flops = {"float32": product, "bfloat16": product}
    return Chip(
        f"{os.cpu_count()} CPU cores of this machine", memory, copy, flops, links=float("inf")
    )


def _seconds(function: Callable[..., jax.Array], *args: jax.Array) -> float:
    """The shortest of several calls."""
    compiled, times = jax.jit(function), []
    for _ in range(5):
        start = time.perf_counter()
        compiled(*args).block_until_ready()
        times.append(time.perf_counter() - start)
    return min(times)
