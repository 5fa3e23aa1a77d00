"""Memory per chip of LNMet's training step, from the compiler of a chip that need not be here.

`python -m benchmarks.compile_for v5e:2x2 --batch 8 --model.dtype bfloat16` wants `libtpu`,
`… h100:4` wants `jax[cuda12]`; neither wants the chip.
"""

import argparse
import os
import re
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies

from core import sharding
from core.preprocess.fingerprint import Intensities
from core.train import state as states
from core.train.step import make_step
from core.train.task import Task
from lnmet import model
from lnmet.config import RECIPES, Config
from lnmet.data import loaded_shape
from lnmet.labels import CLASSES
from lnmet.loss import loss
from lnmet.optimizers import nnunet

ALONE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
}
"""What tells `libtpu` not to look for the machines of a slice."""

H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472 registers_per_core_limit: 65536 registers_per_block_limit: 65536
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 device_memory_size: 84929347584
  cuda_compute_capability { major: 9 }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 12 minor: 9 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""XLA's `GpuTargetConfigProto`."""


OPTIONS = {"h100": {"xla_gpu_enable_triton_gemm": False}}
"""Which tiles a matrix product has is found by timing them; without a GPU the first guess counts,
and XLA stops where that does not fit, as at 300 × 320 × 1280. cuBLAS needs none."""


def main() -> None:
    """Compile and print a row of a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("chips", help="a slice of TPUs, such as v5e:2x2, or h100:4")
    parser.add_argument("--recipe", choices=RECIPES, default="nodes")
    parser.add_argument("--batch", type=int, default=8, help="over all chips")
    parser.add_argument("--model.dtype", dest="dtype", default="float32")
    parser.add_argument("--hlo", help="file for the compiled program")
    args = parser.parse_args()
    cfg = RECIPES[args.recipe]
    cfg = replace(
        cfg,
        data=replace(cfg.data, batch=args.batch),
        model=replace(cfg.model, dtype=args.dtype),
    )
    start = time.perf_counter()
    options = OPTIONS.get(args.chips.split(":")[0])
    compiled = lower_step(cfg, devices(args.chips)).compile(options)
    seconds = time.perf_counter() - start
    if args.hlo:
        with open(args.hlo, "w", encoding="utf-8") as file:
            file.write(compiled.as_text())
    memory = compiled.memory_analysis()
    sizes = [
        memory.argument_size_in_bytes,
        memory.temp_size_in_bytes,
        # The new state lies where the old one was.
        memory.argument_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes,
    ]
    gib = " | ".join(f"{size / 2**30:.2f}" for size in sizes)
    print("| chips | batch | compute | arguments GiB | temporaries GiB | together GiB |")
    print(f"| {args.chips} | {args.batch} | {args.dtype} | {gib} |", flush=True)
    print(f"compiled in {seconds:.0f} s;", kernels(compiled.as_text()), flush=True)


def devices(chips: str) -> list[Any]:
    """The devices of a slice that only its compiler knows."""
    kind, layout = chips.split(":")
    if kind == "h100":
        topology = topologies.get_topology_desc(
            platform="cuda", target_config=H100, topology=f"1x1x{layout}"
        )
    else:
        os.environ.update(ALONE)
        topology = topologies.get_topology_desc(platform="tpu", topology_name=chips)
    return topology.devices


def lower_step(cfg: Config, devices: list[Any]) -> Any:
    """The step as `core.train.fit` has it, the batch cut over the devices."""
    mesh = sharding.mesh(devices)
    task, batch = task_of(cfg), batch_of(cfg)
    state = jax.eval_shape(partial(states.create, task, cfg.run.seed))
    places = sharding.replicated(state, mesh)
    step = jax.jit(make_step(task, cfg.run.seed), donate_argnums=0, out_shardings=(places, None))
    placed = jax.tree.map(_placed, (state, batch), (places, sharding.split_batch(batch, mesh)))
    return step.lower(*placed)


def _placed(array: Any, place: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=place)


def task_of(cfg: Config) -> Task:
    """The recipe's task without its data."""
    num_classes, num_channels = len(CLASSES[cfg.data.target]), len(cfg.data.phases)
    return Task(
        init=lambda key: model.init(
            cfg.model,
            key,
            (1, *cfg.data.patch, num_channels),
            num_classes=num_classes,
            intensities=[Intensities(-100.0, 300.0, 80.0, 60.0)] * num_channels,
        ),
        loss=partial(loss, cfg),
        tx=nnunet(cfg.optim, cfg.run.steps),
        batches=lambda start: iter(()),
    )


def batch_of(cfg: Config) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of a batch as `lnmet.data` loads it."""
    n, loaded = cfg.data.batch, loaded_shape(cfg)
    kinds = {
        "image": ((*loaded, len(cfg.data.phases)), jnp.int16),
        "label": (loaded, jnp.uint8),
        "annotated": ((len(CLASSES[cfg.data.target]),), jnp.bool_),
    }
    if cfg.model.attention:
        kinds["attention"] = (loaded, jnp.float16)
    return {name: jax.ShapeDtypeStruct((n, *s), dtype) for name, (s, dtype) in kinds.items()}


def kernels(program: str) -> dict[str, int]:
    """How often a compiled program has what costs most."""
    calls = re.findall(r'custom_call_target="([^"]+)"', program)
    ops = re.findall(r" (convolution|gather|scatter|sort|while|all-reduce|transpose)\(", program)
    return dict(Counter(calls + ops).most_common(12))


if __name__ == "__main__":
    main()
