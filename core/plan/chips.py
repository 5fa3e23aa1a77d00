"""What chips have, as their makers state it: memory, its speed, arithmetic, and links.

Sources: NVIDIA's data sheets of H100 SXM and A100 SXM 80 GB (without sparsity); Google's system
architecture pages of TPU v5e and v5p.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Chip(NamedTuple):
    """One accelerator.

    Args:
      name: as its maker calls it.
      memory: bytes that a program can have.
      bandwidth: bytes of it that are read or written in a second.
      flops: operations in a second, by compute type. Of float32 those that XLA takes for products
        unless it is told otherwise: TF32 on NVIDIA's, one pass of bfloat16 on Google's.
      links: bytes in a second that it can send to its neighbors.
      target: XLA's `GpuTargetConfigProto`; of NVIDIA's.
    """

    name: str
    memory: float
    bandwidth: float
    flops: Mapping[str, float]
    links: float
    target: str = ""


_TARGET = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  shared_memory_per_block: 49152 registers_per_core_limit: 65536 registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  {}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 8 }}
runtime_version {{ major: 12 minor: 9 patch: 0 }}
device_description_str: "{}"
"""

_H100 = """shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98 l2_cache_size: 52428800
  memory_bandwidth: 3352320000000 device_memory_size: 84929347584
  cuda_compute_capability { major: 9 }"""
_A100 = """shared_memory_per_block_optin: 166912 shared_memory_per_core: 167936
  core_count: 108 fpus_per_core: 64 clock_rate_ghz: 1.41 l2_cache_size: 41943040
  memory_bandwidth: 2039000000000 device_memory_size: 84987740160
  cuda_compute_capability { major: 8 }"""

GPUS = {
    "h100": Chip(
        "NVIDIA H100 80 GB",
        memory=84929347584,
        bandwidth=3.35e12,
        flops={"bfloat16": 989e12, "float32": 494e12},
        links=450e9,
        target=_TARGET.format(_H100, "NVIDIA H100 80GB HBM3"),
    ),
    "a100": Chip(
        "NVIDIA A100 80 GB",
        memory=84987740160,
        bandwidth=2.04e12,
        flops={"bfloat16": 312e12, "float32": 156e12},
        links=300e9,
        target=_TARGET.format(_A100, "NVIDIA A100-SXM4-80GB"),
    ),
}
TPUS = {
    "v5e": Chip(
        "TPU v5e",
        # What its compiler leaves a program of 16 GiB.
        memory=15.75 * 2**30,
        bandwidth=819e9,
        flops={"bfloat16": 197e12, "float32": 197e12},
        links=200e9,
    ),
    "v5p": Chip(
        "TPU v5p",
        memory=95 * 2**30,
        bandwidth=2.765e12,
        flops={"bfloat16": 459e12, "float32": 459e12},
        links=600e9,
    ),
}
