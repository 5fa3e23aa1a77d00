import dataclasses
import itertools
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core import sharding
from core.errors import InputError, RunError
from core.train import checkpoint
from core.train.fit import fit
from core.train.preemption import Preemption
from core.train.state import State
from tests.core.train import hosts, tiny
from tests.disks import orbax_leaves_coroutines, small_disk

pytestmark = pytest.mark.several_devices


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[State, Path]:
    """An uninterrupted run."""
    workdir = tmp_path_factory.mktemp("whole")
    return fit(tiny.build(), tiny.config(), mesh=sharding.mesh(), workdir=workdir), workdir


def assert_same_run(workdir: Path, other: Path) -> None:
    for folder in ("checkpoints", "best"):
        ours, theirs = (checkpoint.restore_model(run / folder) for run in (workdir, other))
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
        assert max(steps(workdir / folder)) == max(steps(other / folder))
    assert records(workdir) == records(other)


def steps(folder: Path) -> list[int]:
    return checkpoint.checkpoint_steps(folder)


def records(workdir: Path) -> list[dict]:
    """Lines of metrics.jsonl without their times."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "time"} for line in lines]


def start(workdir: Path) -> subprocess.Popen:
    return hosts.start("tests.core.train.tiny", str(workdir))


def kill_when(process: subprocess.Popen, moment: Callable[[], bool], delay: float) -> None:
    """SIGKILL, which no code can catch, soon after a moment."""
    while not moment():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(
    whole: tuple[State, Path], tmp_path: Path
):
    checkpoints, metrics = tmp_path / "checkpoints", tmp_path / "metrics.jsonl"

    def past(step: int) -> bool:
        logged = records(tmp_path) if metrics.exists() and metrics.read_text()[-1:] == "\n" else []
        return any(record["step"] >= step for record in logged)

    moments = {
        "before the first step": lambda: checkpoints.is_dir(),
        "while the first checkpoint is written": lambda: any(checkpoints.glob("*tmp*")),
        "after some steps": lambda: past(10),
        "while the best weights are written": lambda: any((tmp_path / "best").glob("*tmp*")),
        "while a later checkpoint is written": lambda: past(12) and any(checkpoints.glob("*tmp*")),
    }
    delays = random.Random(0)
    for moment in moments.values():
        kill_when(start(tmp_path), moment, delays.uniform(0, 0.01))
    hosts.finish(start(tmp_path))
    assert_same_run(tmp_path, whole[1])


def assert_close_parameters(workdir: Path, other: Path) -> None:
    ours, theirs = (checkpoint.restore_model(d / "checkpoints") for d in (workdir, other))
    # Sums over devices run in another order: a few float32 roundings over 24 steps.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, theirs)


def test_two_processes_equal_one(whole: tuple[State, Path], tmp_path: Path):
    hosts.run("tests.core.train.tiny", str(tmp_path), "--distributed")
    assert_close_parameters(tmp_path, whole[1])
    assert [r["step"] for r in records(tmp_path)] == [r["step"] for r in records(whole[1])]


@pytest.mark.parametrize("num_hosts", [1, 2])
def test_told_to_end_a_run_saves_and_goes_on_with_other_devices(
    whole: tuple[State, Path], tmp_path: Path, num_hosts: int
):
    """Of two hosts one is told, and both end after the same step."""
    words = (str(tmp_path), "--pause", "0.1", *["--distributed"] * (num_hosts - 1))
    first = hosts.start_hosts("tests.core.train.tiny", *words, num_hosts=num_hosts, devices=2)
    metrics = tmp_path / "metrics.jsonl"
    while not (metrics.is_file() and metrics.read_text()):
        assert all(host.poll() is None for host in first), first[0].communicate()
        time.sleep(0.01)
    first[-1].send_signal(signal.SIGTERM)
    said = [host.communicate(timeout=hosts.LIMIT)[1] for host in first]
    step = max(steps(tmp_path / "checkpoints"))
    assert 3 <= step < tiny.STEPS
    line = f"told to end (SIGTERM) and saved at step {step} of {tiny.STEPS}; go on with --resume"
    assert all(f"preempted: {line}" in text for text in said)
    flags = "--xla_force_host_platform_device_count=8"
    hosts.finish(hosts.start("tests.core.train.tiny", str(tmp_path), XLA_FLAGS=flags))
    assert_close_parameters(tmp_path, whole[1])
    # The step at which it was told has a line of its own.
    assert {r["step"] for r in records(tmp_path)} - {step} <= {r["step"] for r in records(whole[1])}


def test_a_signal_outside_the_main_thread_is_not_heard_and_handlers_are_as_before():
    before = signal.getsignal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: Preemption().__enter__()).result()
    assert signal.getsignal(signal.SIGTERM) is before
    with Preemption() as preemption:
        assert not preemption.is_due(1)
        signal.raise_signal(signal.SIGTERM)
        assert preemption.is_due(2)
    assert signal.getsignal(signal.SIGTERM) is before


@orbax_leaves_coroutines
def test_a_full_disk_ends_a_run_in_one_error_and_with_room_it_goes_on(
    whole: tuple[State, Path], tmp_path: Path
):
    again = partial(fit, tiny.build(), tiny.config(), mesh=sharding.mesh())
    with small_disk(tmp_path, 600_000) as disk:
        for room in range(0, 60_000, 5_000):  # it is full at the one write or the other
            (disk / "others").unlink(missing_ok=True)
            (disk / "others").write_bytes(bytes(shutil.disk_usage(disk).free - room))
            with pytest.raises(OSError, match="No space left on device") as full:
                again(workdir=disk / "run", resume=True)
            assert full.value.filename
        (disk / "others").unlink()
        again(workdir=disk / "run", resume=True)
        assert_same_run(disk / "run", whole[1])


class JumpingClock:
    """The time of day with an offset of up to three years, and another one now and then.

    Args:
      every: about how many looks at the clock there are between two jumps.
    """

    def __init__(self, every: int) -> None:
        self.chance, self.every = random.Random(0), every
        self.offset, self.now = 0.0, time.time

        self.is_steady = False

    def steady(self, save: Callable[..., None]) -> Callable[..., None]:
        """The same, without a jump until all is written."""

        def saved(checkpoints: checkpoint.Checkpoints, *args: object) -> None:
            self.is_steady = True
            save(checkpoints, *args)
            checkpoints._wait()
            self.is_steady = False

        return saved

    def __call__(self) -> float:
        if not self.is_steady and self.chance.randrange(self.every) == 0:
            self.offset = self.chance.uniform(-1e8, 1e8)
        return self.now() + self.offset


def test_a_clock_that_jumps_between_and_within_steps_changes_nothing(
    whole: tuple[State, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    clock = JumpingClock(every=10)
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * clock()))
    for name in ("save", "save_model"):  # not while a write is waited for: see the next test
        save = getattr(checkpoint.Checkpoints, name)
        monkeypatch.setattr(checkpoint.Checkpoints, name, clock.steady(save))
    fit(tiny.build(), tiny.config(), mesh=sharding.mesh(), workdir=tmp_path)
    assert_same_run(tmp_path, whole[1])


def test_a_clock_that_jumps_while_a_write_is_waited_for_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def late(manager: object) -> None:
        raise TimeoutError("Timed out after 97690719.7 seconds.")

    with checkpoint.Checkpoints(tmp_path, keep=1) as checkpoints, monkeypatch.context() as patch:
        patch.setattr(type(checkpoints._manager), "wait_until_finished", late)
        with pytest.raises(RunError, match="the clock jumped; go on with --resume"):
            checkpoints.latest()


def test_log_holds_means_at_every_line_and_rows_of_every_evaluation(whole: tuple[State, Path]):
    logged = records(whole[1])
    lines = [r["step"] for r in logged if "loss" in r]
    assert lines == sorted({*range(3, 25, 3), *range(4, 25, 4)})
    assert [r["step"] for r in logged if "evaluation" in r] == [9, 18, 24]
    assert [row["id"] for row in logged[-1]["rows"]] == ["conv", "head"]


def test_newest_checkpoints_are_kept(whole: tuple[State, Path]):
    folders = [p.name for p in (whole[1] / "checkpoints").iterdir()]
    assert sorted(folders) == ["21", "24"]


def test_resuming_a_finished_run_changes_nothing(whole: tuple[State, Path]):
    state, workdir = whole
    again = fit(tiny.build(), tiny.config(), mesh=sharding.mesh(), workdir=workdir, resume=True)
    jax.tree.map(np.testing.assert_array_equal, again, state)
    assert len(records(workdir)) == 15


@pytest.mark.parametrize("wrong", [["24"], ["21", "24"]])
def test_a_run_whose_newest_checkpoint_is_damaged_is_resumed_to_the_same_end(
    whole: tuple[State, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, wrong: list[str]
):
    shutil.copytree(whole[1], workdir := tmp_path / "run")
    for step in wrong:
        (workdir / "checkpoints" / step / "rest" / "_METADATA").write_text("{}")
    again = partial(fit, tiny.build(), tiny.config(), mesh=sharding.mesh(), workdir=workdir)
    if len(wrong) == 2:
        with pytest.raises(InputError, match="no checkpoint that is not damaged; start a new run"):
            again(resume=True)
        return
    again(resume=True)
    assert f"{workdir}/checkpoints/24: is damaged" in caplog.text
    assert_same_run(workdir, whole[1])


def test_starting_over_an_existing_run_is_refused(whole: tuple[State, Path]):
    with pytest.raises(InputError, match="already holds checkpoints; resume"):
        fit(tiny.build(), tiny.config(), mesh=sharding.mesh(), workdir=whole[1])


def test_step_is_traced_and_compiled_once(tmp_path: Path):
    traces = []

    def counted(*args: object) -> tuple:
        traces.append(1)
        return tiny.loss(*args)

    task = tiny.build()._replace(loss=counted)
    fit(task, tiny.config(), mesh=sharding.mesh(), workdir=tmp_path)
    assert len(traces) == 1


def test_batch_of_another_shape_is_refused_instead_of_recompiled(tmp_path: Path):
    def growing(start: int):
        for step, batch in enumerate(tiny.batches(start)):
            yield jax.tree.map(lambda a: np.concatenate([a] * (1 + step)), batch)  # noqa: B023

    task = tiny.build()._replace(batches=growing)
    with pytest.raises(TypeError, match="compiled"):
        fit(task, tiny.config(), mesh=sharding.mesh(), workdir=tmp_path)


def test_batches_that_end_early_are_an_error(tmp_path: Path):
    task = tiny.build()._replace(batches=lambda start: itertools.islice(tiny.batches(start), 5))
    with pytest.raises(ValueError, match=r"ended after step 5 of 24"):
        fit(task, tiny.config(), mesh=sharding.mesh(), workdir=tmp_path)


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_non_finite_step_stops_the_run_and_keeps_finite_checkpoints(tmp_path: Path, name: str):
    def broken(params: dict, model_state: dict, batch: dict, key: jax.Array) -> tuple:
        value, aux = tiny.loss(params, model_state, batch, key)
        bad = (batch["step"][0] == 7).astype(jnp.float32)
        if name == "loss":
            return value / (1 - bad), aux
        # A root at zero has a finite value and an infinite slope.
        return value + bad * jnp.sqrt((1 - bad) + 0 * params["head"].sum()), aux

    def numbered(start: int):
        for step, batch in enumerate(tiny.batches(start), start + 1):
            yield {**batch, "step": np.full(8, step)}

    task = tiny.build()._replace(loss=broken, batches=numbered)
    with pytest.raises(RunError, match=rf"step 7: {name} became (nan|inf)"):
        fit(task, tiny.config(), mesh=sharding.mesh(), workdir=tmp_path)
    params, _ = checkpoint.restore_model(tmp_path / "checkpoints")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("state_rule", [sharding.replicated, sharding.fsdp])
def test_resume_on_other_devices_continues_the_run(
    whole: tuple[State, Path], tmp_path: Path, state_rule: sharding.Rule
):
    """Eight devices for a while, then two; a checkpoint belongs to no mesh."""
    short = dataclasses.replace(tiny.config(), steps=12)
    task = tiny.build()
    fit(task, short, mesh=sharding.mesh(), workdir=tmp_path, state_rule=state_rule)
    two = sharding.mesh(jax.devices()[:2])
    state = fit(task, tiny.config(), mesh=two, workdir=tmp_path, resume=True, state_rule=state_rule)
    for ours, theirs in zip(jax.tree.leaves(state), jax.tree.leaves(whole[0]), strict=True):
        # Sums over devices run in another order: a few float32 roundings over 24 steps.
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
