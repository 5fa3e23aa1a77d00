"""Runs of a script in several processes that are hosts of one another, on this machine."""

import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIMIT = 240
"""Seconds: ten times what two hosts need on two busy cores."""


def start(module: str, *words: str, **env: str) -> subprocess.Popen:
    """A process of ours, in which warnings are errors."""
    command = [sys.executable, "-W", "error", "-m", module, *words]
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, **quiet)


def finish(*hosts: subprocess.Popen) -> None:
    """Wait for all, read what each says meanwhile, and tell it where one fails."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        said = list(pool.map(_last_words, hosts))
    assert [host.returncode for host in hosts] == [0] * len(hosts), "\n".join(said)


def _last_words(host: subprocess.Popen) -> str:
    """Its errors; a host that takes too long is killed, so that it outlives no test."""
    try:
        return host.communicate(timeout=LIMIT)[1]
    except subprocess.TimeoutExpired:
        host.kill()
        return host.communicate()[1]


def run(module: str, *words: str, num_hosts: int = 2, devices: int = 4) -> None:
    """Run a script on hosts of a few devices each; it has to call `sharding.distributed`."""
    finish(*start_hosts(module, *words, num_hosts=num_hosts, devices=devices))


def start_hosts(
    module: str, *words: str, num_hosts: int = 2, devices: int = 4
) -> list[subprocess.Popen]:
    """Likewise, without waiting for their end."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    env = {
        "JAX_COORDINATOR_ADDRESS": address,
        "JAX_NUM_PROCESSES": str(num_hosts),
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}",
    }
    return [start(module, *words, JAX_PROCESS_ID=str(i), **env) for i in range(num_hosts)]
