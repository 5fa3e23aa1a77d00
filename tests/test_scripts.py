"""Launch scripts, run as far as that goes without their cluster: its commands are stand-ins."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from core import sharding
from core.train import checkpoint
from core.train.fit import fit
from tests.core.train import hosts, tiny

SCRIPTS = Path(__file__).parents[1] / "scripts"

# Starts its tasks as Slurm does, passes SIGTERM on, and ends with the largest status.
SRUN = """#!{python}
import os, signal, subprocess, sys
tasks = []
open("{said}.step", "w").write(str(os.getpid()))
for i in range(2):
    own = dict(SLURM_PROCID=str(i), SLURM_LOCALID=str(i), SLURM_NTASKS="2",
               SLURM_STEP_NODELIST="localhost", SLURM_STEP_NUM_NODES="1")
    tasks.append(subprocess.Popen(sys.argv[1:], env=os.environ | own))
signal.signal(signal.SIGTERM, lambda *_: [task.send_signal(signal.SIGTERM) for task in tasks])
sys.exit(max(task.wait() for task in tasks))
"""
WRITES_ITS_WORDS = """#!/bin/bash
printf '%s\\n' "$(basename "$0")" "$@" >> {said}
"""


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """Environment in which the commands of a cluster are ours."""
    programs = tmp_path / "bin"
    programs.mkdir()
    said = tmp_path / "said"
    for name, text in (
        ("srun", SRUN),
        ("scontrol", WRITES_ITS_WORDS),
        ("gcloud", WRITES_ITS_WORDS),
    ):
        (programs / name).write_text(text.format(python=sys.executable, said=said))
        (programs / name).chmod(0o755)
    # JAX makes the coordinator's port of the job's number.
    job = {"SLURM_JOB_ID": str(random.Random(os.getpid()).randrange(4096))}
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    return os.environ | job | flags | {"PATH": f"{programs}:{os.environ['PATH']}"}


def start(cluster: dict[str, str], script: str, *words: object) -> subprocess.Popen:
    command = [str(SCRIPTS / script), *map(str, words)]
    return subprocess.Popen(command, cwd=hosts.ROOT, env=cluster)


@pytest.mark.slow  # four processes that train, twice
def test_a_slurm_job_that_is_told_to_end_is_queued_again_and_goes_on(cluster, tmp_path):
    run, single = tmp_path / "run", tmp_path / "single"
    words = (sys.executable, "-m", "tests.core.train.tiny", run, "--pause", "0.05")
    job = start(cluster, "slurm_train.sh", *words)
    while not (run / "metrics.jsonl").is_file() or not (run / "metrics.jsonl").read_text():
        assert job.poll() is None
        time.sleep(0.01)
    step = int((tmp_path / "said.step").read_text())
    os.kill(step, signal.SIGTERM)  # Slurm tells the step, not the script
    assert job.wait(hosts.LIMIT) == 143
    queued = ["scontrol", "requeue", cluster["SLURM_JOB_ID"]]
    assert (tmp_path / "said").read_text().split() == queued
    assert max(checkpoint.checkpoint_steps(run / "checkpoints")) < tiny.STEPS
    assert start(cluster, "slurm_train.sh", *words).wait(hosts.LIMIT) == 0
    assert (tmp_path / "said").read_text().split() == queued
    fit(tiny.build(), tiny.config(), mesh=sharding.mesh(), workdir=single)
    ours, theirs = (checkpoint.restore_model(d / "checkpoints") for d in (run, single))
    # Sums over devices run in another order: a few float32 roundings over 24 steps.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)


def test_a_slurm_job_works_on_a_cohort_in_shards_and_then_on_the_whole(cluster, tmp_path):
    words = tmp_path / "words"
    command = ("bash", "-c", f'line=$(printf "%s " "$@"); echo "$line" >> {words}', "job")
    assert start(cluster, "slurm_cohort.sh", *command, "a b", "--out", "o").wait(60) == 0
    *shards, last = words.read_text().splitlines()
    assert sorted(shards) == [f"a b --out o --shard {i}/2 " for i in (0, 1)]
    assert last == "a b --out o "


def test_a_tpu_slice_runs_the_command_on_every_host(cluster, tmp_path):
    where = {"TPU": "slice", "ZONE": "zone"}
    words = ("s4c", "train", "pdac-64", "--data", "a cache", "--out", "run")
    assert start(cluster | where, "tpu_train.sh", *words).wait(60) == 0
    *call, command = (tmp_path / "said").read_text().splitlines()
    assert call == "gcloud compute tpus tpu-vm ssh slice --zone=zone --worker=all".split()
    echoed = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {command.removeprefix('--command=')}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert echoed.stdout.splitlines() == [*words, "--resume", "--distributed"]
