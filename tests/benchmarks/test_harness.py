import json
import sys
import time

import jax.numpy as jnp
import pytest

from benchmarks import harness

KEYS = {
    "name", "ours_s", "peer", "peer_s", "ratio", "ours_peak_bytes", "peer_peak_bytes", "equal",
    "device", "versions", "commit",
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
    row = harness.compare("alone", lambda: jnp.ones(3), repeats=2)
    assert set(row) == KEYS
    assert row["peer"] is row["peer_s"] is row["ratio"] is row["equal"] is None


def test_runs_take_turns_after_one_warm_up_each():
    calls = []
    harness.seconds({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, repeats=2)
    assert calls == ["a", "b"] * 3


def test_agreement_is_relative_to_the_largest_value():
    assert harness.agree([1000.0, 0.0], [1000.0, 0.05])
    assert not harness.agree([1000.0, 0.0], [1000.0, 0.2])


def test_rows_take_the_place_of_their_namesakes_on_the_same_device(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")

    def row(name, ratio, device="cpu"):
        return {"name": name, "device": device, "ratio": ratio}

    harness.save("file", [row("a", 1.0), row("b", 2.0), row("a", 3.0, device="gpu")])
    harness.save("file", [row("a", float("nan"))])
    assert json.loads((tmp_path / "results" / "file.json").read_text()) == [
        row("b", 2.0),
        row("a", 3.0, device="gpu"),
        row("a", None),
    ]


def test_a_missing_peer_is_one_line_and_status_2(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "benchmarks.peers.torch_layout", raising=False)
    monkeypatch.delitem(sys.modules, "benchmarks.peers.torch_kernels", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SystemExit, match="2"):
        harness.peer_module("torch_kernels")
    assert capsys.readouterr().err == (
        "the peer needs torch, which is not installed; run `make peers`\n"
    )
