import os
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import harness

KEYS = {
    "name", "ours_s", "ours_iqr_s", "peer", "peer_s", "peer_iqr_s", "ratio", "turns",
    "ours_peak_bytes", "peer_peak_bytes", "equal", "device", "versions", "commit",
}  # fmt: skip


def test_ratio_is_peer_time_over_our_time(capsys):
    row = harness.compare(
        "sleep", lambda: time.sleep(0.01), lambda: time.sleep(0.03), peer_name="slow", repeats=3
    )
    assert set(row) == KEYS
    assert row["ratio"] == row["peer_s"] / row["ours_s"]
    # Three times by construction; sleeping overshoots on a busy machine.
    assert row["ratio"] > 1.5
    assert "sleep: ours" in capsys.readouterr().out


def test_without_a_peer_ours_alone_is_timed():
    row = harness.compare("alone", lambda: jnp.ones(3), equal=lambda a, b: False, repeats=2)
    assert set(row) == KEYS
    assert row["peer"] is row["peer_s"] is row["ratio"] is row["equal"] is None


def test_runs_take_turns_after_one_warm_up_each():
    calls = []
    harness.compare("both", lambda: calls.append("a"), lambda: calls.append("b"), repeats=2)
    assert calls == ["a", "b"] * 3


def test_results_of_the_warm_up_are_compared():
    row = harness.compare("both", lambda: 1, lambda: 2, equal=lambda a, b: a + 1 == b, repeats=1)
    assert row["equal"] is True


def test_what_takes_long_has_one_turn(monkeypatch):
    monkeypatch.setattr(harness, "SECONDS", 0.0)
    row = harness.compare("long", lambda: time.sleep(0.001), repeats=7)
    assert (row["turns"], row["ours_iqr_s"]) == (1, 0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="resets a counter of Linux")
def test_peaks_are_what_a_turn_adds():
    size = 1 << 27

    def takes_memory():
        np.ones(size, np.uint8)

    row = harness.compare("memory", takes_memory, lambda: None, repeats=2)
    assert row["ours_peak_bytes"] == pytest.approx(size, rel=0.1)  # pages, and other threads
    assert row["peer_peak_bytes"] < 0.1 * size


def test_agreement_is_relative_to_the_largest_value():
    assert harness.agree([1000.0, 0.0], [1000.0, 0.05])
    assert not harness.agree([1000.0, 0.0], [1000.0, 0.2])
    assert harness.agree([1000.0, 0.0], [1000.0, 0.2], within=1e-3)


def test_a_missing_peer_is_told_once_and_left_out(monkeypatch, caplog):
    harness.peer_module.cache_clear()
    monkeypatch.delitem(sys.modules, "benchmarks.peers.torch_layout", raising=False)
    monkeypatch.delitem(sys.modules, "benchmarks.peers.torch_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert harness.peer_module("torch_kernels") is harness.peer_module("torch_kernels") is None
    assert caplog.messages == ["torch is not installed: no torch_kernels beside ours (make peers)"]
    harness.peer_module.cache_clear()


def test_a_process_of_its_own_has_its_settings():
    assert harness.in_a_process(os.getenv, "PANJAX_TEST", env={"PANJAX_TEST": "a"}) == "a"
    assert os.getenv("PANJAX_TEST") is None
