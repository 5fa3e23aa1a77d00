import io
import json
import logging
import math
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from core.errors import RunError
from core.train.log import MAX_IN_FLIGHT, Log, summary


def metrics(loss: float, **others: float) -> dict:
    values = {"loss": loss, "grad_norm": 1.0, **others}
    return {name: jnp.float32(value) for name, value in values.items()}


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_run(path: Path, steps: int) -> None:
    with Log(path, start=0, steps=steps) as log:
        log.compiled(compile_seconds=2.0, peak_bytes=10)
        for step in range(1, steps + 1):
            log.add(step, metrics(step), num_examples=4)
            if step % 2 == 0:
                log.line(step)


def test_lines_hold_the_mean_since_the_line_before(tmp_path: Path):
    write_run(tmp_path / "m.jsonl", 4)
    assert [(r["step"], r["loss"]) for r in read(tmp_path / "m.jsonl")] == [(2, 1.5), (4, 3.5)]


def test_undefined_metrics_are_left_out_of_the_mean_and_null_if_all_are(tmp_path: Path):
    with Log(tmp_path / "m.jsonl", start=0, steps=4) as log:
        log.add(1, metrics(1, dice=math.nan, fn=math.nan), num_examples=1)
        log.add(2, metrics(1, dice=0.5, fn=math.nan), num_examples=1)
        log.line(2)
    (record,) = read(tmp_path / "m.jsonl")
    assert (record["dice"], record["fn"]) == (0.5, None)


def test_evaluation_keeps_rows_and_averages_their_numbers(tmp_path: Path):
    rows = [{"id": "a", "dsc": 0.5}, {"id": "b", "dsc": math.nan}, {"id": "c", "dsc": 1.0}]
    with Log(tmp_path / "m.jsonl", start=0, steps=4) as log:
        log.evaluation(2, rows)
    (record,) = read(tmp_path / "m.jsonl")
    assert record["evaluation"] == {"dsc": 0.75}
    assert record["rows"][1] == {"id": "b", "dsc": None}


def test_lines_after_the_restored_step_and_torn_lines_are_removed(tmp_path: Path):
    path = tmp_path / "m.jsonl"
    write_run(path, 8)
    kept = path.read_text().splitlines(keepends=True)[:2]
    path.write_text(path.read_text() + '{"step": 10, "lo')
    with Log(path, start=4, steps=8):
        assert path.read_text() == "".join(kept)


@pytest.mark.parametrize(("name", "value"), [("loss", "nan"), ("grad_norm", "inf")])
def test_first_non_finite_step_is_named(tmp_path: Path, name: str, value: str):
    bad = {**metrics(1), name: jnp.float32(value)}
    with Log(tmp_path / "m.jsonl", start=0, steps=9) as log:
        log.add(1, metrics(1), num_examples=1)
        log.add(2, bad, num_examples=1)
        log.add(3, bad, num_examples=1)
        with pytest.raises(RunError, match=f"step 2: {name} became {value}"):
            log.line(3)


def test_host_runs_ahead_by_few_steps_only(tmp_path: Path):
    with Log(tmp_path / "m.jsonl", start=0, steps=9) as log:
        log.add(1, metrics(math.nan), num_examples=1)
        for step in range(2, MAX_IN_FLIGHT + 1):
            log.add(step, metrics(1), num_examples=1)
        with pytest.raises(RunError, match="step 1: loss became nan"):
            log.add(MAX_IN_FLIGHT + 1, metrics(1), num_examples=1)


def test_summary_reads_costs_and_is_nan_where_nothing_was_measured(tmp_path: Path):
    write_run(tmp_path / "m.jsonl", 6)
    logged = summary(tmp_path / "m.jsonl")
    assert (logged["compile_seconds"], logged["peak_bytes"]) == (2.0, 10)
    assert logged["examples_per_second"] > 0
    assert all(math.isnan(v) for v in summary(tmp_path / "none.jsonl").values())


def test_pipe_gets_plain_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "core.train.log"):
        write_run(tmp_path / "m.jsonl", 4)
    first, last = caplog.messages
    assert first.startswith(f"{tmp_path.name}  step 2/4  loss 1.5  grad_norm 1")
    assert first.endswith(" left")
    assert "examples/s" in last


def test_terminal_gets_a_bar_with_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    screen = io.StringIO()
    screen.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", screen)
    with caplog.at_level(logging.INFO, "core.train.log"):
        write_run(tmp_path / "m.jsonl", 4)
    assert "4/4" in screen.getvalue()
    assert "step/s" in screen.getvalue()
    assert "loss 3.5" in screen.getvalue()
    assert caplog.messages == []


def test_quiet_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture):
    logging.getLogger("core.train.log").setLevel(logging.ERROR)
    write_run(tmp_path / "m.jsonl", 4)
    logging.getLogger("core.train.log").setLevel(logging.NOTSET)
    assert capfd.readouterr() == ("", "")
