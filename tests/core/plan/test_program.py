"""What each chip holds and does of a job, on eight devices of this host."""

import math

import jax
import numpy as np
import pytest

from core import sharding
from core.plan import program
from core.plan.chips import Chip
from core.plan.job import host_work, on_disk
from core.plan.machine import Machine
from core.plan.program import inference, num_bytes, state_of, training_step
from tests.core.plan.tiny_job import BATCH, tiny_job
from tests.refusals import refused

pytestmark = pytest.mark.several_devices

CHIP = Chip("a device", 2**30, 1e9, {"float32": 1e9}, 1e9)
IMAGE_BYTES, LABEL_BYTES, STEP_BYTES = 8 * 8 * 4, 4, 4


def machine(num: int) -> Machine:
    return Machine(f"cpu:{num}", CHIP, jax.devices()[:num])


@pytest.fixture(scope="module")
def batch():
    return host_work(tiny_job()).batch


def test_a_chip_holds_the_state_and_its_part_of_the_batch(batch):
    job = tiny_job()
    of_batch = BATCH * (IMAGE_BYTES + LABEL_BYTES)
    for num in (1, 8):
        step = training_step(job, batch, machine(num))
        assert step.chips == num
        assert step.examples == BATCH
        assert step.argument_bytes == num_bytes(state_of(job)) + of_batch / num
        assert step.peak_bytes > step.argument_bytes


def test_chips_share_the_mathematics_and_sum_what_they_found(batch):
    one, eight = (training_step(tiny_job(), batch, machine(num)) for num in (1, 8))
    assert one.flops == 8 * eight.flops
    assert one.collectives == {}
    assert set(eight.collectives) >= {"all-reduce"}


def test_a_batch_takes_the_most_chips_that_divide_it(batch):
    six = {name: array[:6] for name, array in batch.items()}
    step = training_step(tiny_job()._replace(batch=6), six, machine(8))
    assert (step.chips, step.examples) == (6, 6)


def test_fsdp_cuts_the_state(batch, monkeypatch):
    monkeypatch.setattr(sharding, "MIN_SHARDED_SIZE", 1)
    whole, cut = (training_step(tiny_job(), batch, machine(8), fsdp=on) for on in (False, True))
    # Kernels of 72 and 16 numbers, their momenta, and 8 means; 8 divides all.
    numbers = 2 * (72 + 16) + 8
    assert whole.argument_bytes - cut.argument_bytes == 4 * numbers * 7 / 8


def test_space_cuts_the_images(batch):
    whole, cut = (training_step(tiny_job(), batch, machine(2), space=n) for n in (1, 2))
    # Two halves of eight images, or four images each; labels are not cut by space.
    assert cut.argument_bytes - whole.argument_bytes == LABEL_BYTES * BATCH / 2


def test_chips_that_cannot_share_an_example_are_refused(batch):
    for space in (0, 9):
        with refused(None, f"--space must be from 1 to the 8 chips; got {space}"):
            training_step(tiny_job(), batch, machine(8), space=space)
    narrow = {**batch, "image": batch["image"][:, :6]}
    with refused(None, "--space 4 does not divide the 6 voxels of 'image'"):
        training_step(tiny_job(), narrow, machine(8), space=4)


def test_inference_is_shared_by_all_chips():
    ask = inference(tiny_job(), machine(8))
    assert (ask.chips, ask.examples) == (8, 16)
    # Two images of a chip and the whole of what was trained.
    assert ask.argument_bytes >= 2 * IMAGE_BYTES


@pytest.mark.parametrize(
    "message",
    [
        "Ran out of memory in memory space hbm. Used 20.00G of 15.75G hbm",
        "Ran out of memory on HBM, the total memory required for HLO temporaries (20.00G) exceeds "
        "available HBM (15.75G).",
    ],
)
def test_a_program_that_the_compiler_has_no_room_for_tells_what_it_wanted(
    message, batch, monkeypatch
):
    message = f"RESOURCE_EXHAUSTED: {message}"
    _refuse(monkeypatch, message)
    step = training_step(tiny_job(), batch, machine(2))
    assert step.peak_bytes == 20 * 2**30
    assert math.isnan(step.moved_bytes)
    _refuse(monkeypatch, "INTERNAL: something else")
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        training_step(tiny_job(), batch, machine(2))


def _refuse(monkeypatch, message: str) -> None:
    class Lowered:
        def compile(self, options):
            raise jax.errors.JaxRuntimeError(message)

    monkeypatch.setattr(program, "lower_step", lambda *_: Lowered())


def test_the_host_makes_the_last_batches_of_a_run_and_is_timed():
    work = host_work(tiny_job(steps=3))
    assert work.core_seconds > 0
    expected = next(iter(tiny_job(steps=3).task.batches(2)))
    jax.tree.map(np.testing.assert_array_equal, dict(work.batch), expected)


def test_arrays_on_disk_are_those_that_were_given():
    image = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    stored = on_disk(image=image, label=image.astype(np.uint8))
    np.testing.assert_array_equal(stored["image"][...], image)
    assert stored["label"].dtype == np.uint8
