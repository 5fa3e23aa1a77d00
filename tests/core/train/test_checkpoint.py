import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from core import sharding
from core.errors import InputError
from core.train.checkpoint import (
    BEST,
    CHECKPOINTS,
    DROPPED,
    Checkpoints,
    _Writer,
    checkpoint_steps,
    restore_model,
)
from core.train.checksums import CHECKSUMS, verify_checksums
from core.train.state import State
from tests.core.train import hosts, two_folders
from tests.refusals import refused

pytestmark = pytest.mark.several_devices


def make_state(value: float) -> State:
    params = {"net": {"w": jnp.full((8, 4), value), "b": jnp.full(4, value, jnp.bfloat16)}}
    tx = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))
    return State(jnp.int32(value), params, {}, tx.init(params))


def target(state: State, rule: sharding.Rule, mesh: jax.sharding.Mesh) -> State:
    def place(a: jax.Array, where: jax.sharding.Sharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=where)

    return jax.tree.map(place, state, rule(state, mesh))


def assert_equal(a: State, b: State) -> None:
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("rule", [sharding.replicated, sharding.fsdp])
def test_restore_inverts_save_on_any_mesh(
    tmp_path: Path, rule: sharding.Rule, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sharding, "MIN_SHARDED_SIZE", 1)
    state = make_state(3)
    with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
        assert checkpoints.latest() is None
        checkpoints.save(3, state)
    for num_devices in (1, 4):
        mesh = sharding.mesh(jax.devices()[:num_devices])
        with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
            assert checkpoints.latest() == 3
            wanted = target(state, rule, mesh)
            restored = checkpoints.restore(wanted)
        assert_equal(restored, state)
        assert restored.params["net"]["w"].sharding == wanted.params["net"]["w"].sharding


@pytest.mark.slow
def test_hosts_write_both_folders_at_once(tmp_path: Path):
    hosts.run("tests.core.train.two_folders", str(tmp_path))
    for folder in (CHECKPOINTS, BEST):
        assert max(checkpoint_steps(tmp_path / folder)) == two_folders.STEPS


def test_trainings_in_threads_write_one_at_a_time(tmp_path: Path):
    """Orbax counts operations in the process: two that overlap wait for each other's signals."""
    running: list[str] = []

    class Manager:
        def __init__(self, name: str) -> None:
            self.name = name

        def save(self, step: int, args: object) -> None:
            assert all(name == self.name for name in running)
            running.append(self.name)

        def wait_until_finished(self) -> None:
            running[:] = [name for name in running if name != self.name]

        close = wait_until_finished

    writer, first, second = _Writer(), Manager("first"), Manager("second")
    for manager in (first, second, second, first):
        writer.save(manager, 1, None)
    writer.close(first)
    assert not running
    writer.save(second, 2, None)
    assert running == ["second"]


def test_states_saved_in_threads_are_all_there(tmp_path: Path):
    state, steps = make_state(1), range(1, 6)

    def save(name: str) -> None:
        with Checkpoints(tmp_path / name, keep=len(steps)) as checkpoints:
            for step in steps:
                checkpoints.save(step, state)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(save, "abc"))
    assert all(sorted(checkpoint_steps(tmp_path / name)) == list(steps) for name in "abc")


def test_the_newest_are_kept_and_unfinished_ones_are_not_seen(tmp_path: Path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, make_state(step))
    (tmp_path / "4.orbax-checkpoint-tmp").mkdir()
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        assert checkpoints.latest() == 3
        assert restore_model(tmp_path)[0]["net"]["w"][0, 0] == 3
        checkpoints.save(4, make_state(4))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3", "4"]


def test_a_failed_write_that_still_puts_files_there_does_not_stop_the_next(tmp_path: Path):
    unfinished = tmp_path / "1.orbax-checkpoint-tmp" / "model" / "d"
    unfinished.mkdir(parents=True)

    def write_on() -> None:
        try:
            for number in range(100_000):
                (unfinished / str(number)).touch()
        except OSError:
            return  # the folder is gone

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write_on)
        while not (unfinished / "1000").exists():  # so many that more come while they are removed
            assert not writer.done()
        with Checkpoints(tmp_path, keep=1) as checkpoints:
            checkpoints.save(1, make_state(1))
        writer.result(timeout=60)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    verify_checksums(tmp_path / "1")


def test_an_old_checkpoint_loses_its_name_before_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as killed:
        killed.setattr(Checkpoints, "_remove_dropped", lambda _: None)
        with Checkpoints(tmp_path, keep=1) as checkpoints:
            for step in (1, 2):
                checkpoints.save(step, make_state(step))
    assert checkpoint_steps(tmp_path) == [2]
    verify_checksums(tmp_path / DROPPED / "1")
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.drop_after(0)
        for step in (1, 2):  # again the name that was dropped
            checkpoints.save(step, make_state(step))
    assert checkpoint_steps(tmp_path) == [2]
    assert not (tmp_path / DROPPED).exists()


def test_a_saved_state_may_be_donated_at_once(tmp_path: Path):
    state = jax.device_put(make_state(1), sharding.replicated(make_state(1), sharding.mesh()))
    wanted = target(state, sharding.replicated, sharding.mesh())
    overwrite = jax.jit(lambda s: jax.tree.map(lambda a: a * 0 - 1, s), donate_argnums=0)
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, state)
        jax.block_until_ready(overwrite(state))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert_equal(checkpoints.restore(wanted), make_state(1))


def test_model_is_restored_without_knowing_the_optimizer(tmp_path: Path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        checkpoints.save(1, make_state(1))
        checkpoints.save(2, make_state(2)._replace(model_state={"batch_stats": {"m": jnp.ones(2)}}))
    params, model_state = restore_model(tmp_path)
    assert type(params["net"]["w"]) is np.ndarray
    assert params["net"]["b"].dtype == jnp.bfloat16
    np.testing.assert_array_equal(params["net"]["w"], np.full((8, 4), 2, np.float32))
    np.testing.assert_array_equal(model_state["batch_stats"]["m"], np.ones(2))


def test_folder_without_a_checkpoint_is_refused(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "missing"):
        with refused(folder, "no complete checkpoint", hint="train"):
            restore_model(folder)


def test_checkpoint_of_another_model_or_optimizer_is_refused(tmp_path: Path):
    state, mesh = make_state(1), sharding.mesh()
    wider = state._replace(params={"net": {"w": jnp.zeros((9, 4)), "b": jnp.zeros(4)}})
    other = state._replace(opt_state=optax.sgd(0.1, momentum=0.9).init(state.params))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, state)
        for wrong, message in (
            (wider, r"model.params.net.w is \(8, 4\) there and \(9, 4\) now; go on with the"),
            (other, r"rest.opt_state.1.0.count is \(\) there and absent now and 6 more"),
        ):
            with pytest.raises(InputError, match=f"/1: belongs to another .*{message}"):
                checkpoints.restore(target(wrong, sharding.replicated, mesh))


def test_damaged_checkpoint_is_refused_by_name(tmp_path: Path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(5, make_state(5))
    (tmp_path / "5" / "model" / "_METADATA").write_bytes(b"")
    with refused(tmp_path / "5", "damaged", hint="delete"):
        restore_model(tmp_path)


def files_of(checkpoint: Path) -> list[Path]:
    """Of the two folders of a checkpoint; the others tell nothing of its values."""
    return [path for path in sorted(checkpoint.glob("*/**/*")) if path.is_file()]


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "a bit":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    else:
        path.write_bytes(data[: {"empty": 0, "half": len(data) // 2}[how]])


@pytest.mark.parametrize("how", ["gone", "empty", "half", "a bit"])
def test_of_damaged_checkpoints_the_one_before_is_used_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
):
    wanted = target(make_state(1), sharding.replicated, sharding.mesh())
    with Checkpoints(tmp_path / "whole", keep=2) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, make_state(step))
    files = files_of(tmp_path / "whole" / "2")
    for number, path in enumerate(files if how == "a bit" else files[::5]):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        damage(folder / path.relative_to(tmp_path / "whole"), how)
        caplog.clear()
        with Checkpoints(folder, keep=2) as checkpoints:
            assert_equal(checkpoints.restore(wanted), make_state(1))
            assert checkpoints.latest() == 1
        (line,) = [r.message for r in caplog.records if r.name == "core.train.checkpoint"]
        assert line.startswith(f"{folder / '2'}: is damaged (")
        assert line.endswith("; the checkpoint before it is used")


def test_where_every_checkpoint_is_damaged_the_run_is_refused(tmp_path: Path):
    wanted = target(make_state(1), sharding.replicated, sharding.mesh())
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, make_state(step))
    for step in (1, 2):
        damage(tmp_path / str(step) / "rest" / "_METADATA", "a bit")
    with refused(tmp_path, "no checkpoint that is not damaged", hint="new run"):
        with Checkpoints(tmp_path, keep=2) as checkpoints:
            checkpoints.restore(wanted)
    assert sorted(checkpoint_steps(tmp_path)) == [1, 2]


def test_checkpoints_without_checksums_are_read_as_they_are(tmp_path: Path):
    wanted = target(make_state(1), sharding.replicated, sharding.mesh())
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, make_state(1))
    (tmp_path / "1" / CHECKSUMS).unlink()  # as older versions wrote them
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert_equal(checkpoints.restore(wanted), make_state(1))


@pytest.mark.parametrize(("name", "hint"), [(CHECKPOINTS, "--resume"), (BEST, "delete")])
def test_weights_are_never_those_of_another_step_than_the_newest(tmp_path: Path, name, hint):
    with Checkpoints(tmp_path / name, keep=2) as checkpoints:
        for step in (1, 2):
            checkpoints.save(step, make_state(step))
    damage(next((tmp_path / name / "2" / "model").glob("ocdbt.*/d/*")), "a bit")
    with refused(tmp_path / name / "2", "is damaged", "not what was written", hint=hint):
        restore_model(tmp_path / name)


def test_damage_that_the_reader_trips_over_is_told_like_any_other(tmp_path: Path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(5, make_state(5))
    sharding_file = tmp_path / "5" / "model" / "_sharding"
    written = sharding_file.read_bytes()
    assert b"DeviceSharding" in written or b"NamedSharding" in written
    sharding_file.write_bytes(written.replace(b"Sharding", b"sharding"))
    with refused(tmp_path / "5", "damaged", hint="delete"):
        restore_model(tmp_path)
