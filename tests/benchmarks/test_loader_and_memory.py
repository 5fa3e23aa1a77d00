import sys
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from benchmarks import harness, loader, memory

BYTES = 1 << 28


def takes_memory():
    return lambda: np.ones(BYTES, np.uint8)


def test_a_batch_has_a_share_of_a_turn():
    row = loader._row("a", repeat({}), batch=8, repeats=1)
    assert row["samples_per_s"] == 8 / row["ours_s"]
    assert row["samples_per_s_and_core"] * loader.CORES == pytest.approx(row["samples_per_s"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads a counter of Linux")
def test_the_peak_of_a_case_is_that_of_a_process_of_its_own():
    ballast = np.ones(2 * BYTES, np.uint8)  # held by this process
    row = harness.in_a_process(memory._peak, takes_memory)
    added = row["host_peak_bytes"] - row["host_bytes_before"]
    assert added == pytest.approx(BYTES, rel=0.1)  # pages, and what JAX starts with
    assert row["host_bytes_before"] < ballast.nbytes + BYTES
    assert set(row) == {
        "host_bytes_before", "host_peak_bytes", "device_peak_bytes", "device", "versions", "commit",
    }  # fmt: skip


def test_batches_come_from_prepared_files(tmp_path: Path):
    ((name, (batch, build)),) = loader._eusdaf(tmp_path).items()
    assert name == "unet"
    assert len(next(build(0).batches(0))["image"]) == batch
