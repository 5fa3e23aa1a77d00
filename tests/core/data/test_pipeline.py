import os
import signal
import threading
import time

import numpy as np
import pytest

from core.data.pipeline import batches
from core.errors import RunError


def make(step):
    return {"image": np.random.default_rng(step).random((2, 3)), "step": step}


def run(start, num_threads, make=make, num_workers=0):
    return list(
        batches(make, start=start, num_steps=12, num_threads=num_threads, num_workers=num_workers)
    )


def assert_equal(left, right):
    assert [b["step"] for b in left] == [b["step"] for b in right]
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a["image"], b["image"])


@pytest.mark.parametrize("num_threads", [0, 1, 5])
def test_batches_are_equal_and_in_order_whatever_the_number_of_threads(num_threads):
    def slow_first(step):
        time.sleep(0.02 * (step % 3 == 0))
        return make(step)

    assert_equal(run(0, num_threads, slow_first), [make(step) for step in range(12)])


@pytest.mark.parametrize("start", [0, 5, 12])
def test_resuming_gives_the_batches_that_were_to_come(start):
    assert_equal(run(start, 2), run(0, 2)[start:])


def test_worker_processes_give_the_same_batches_in_the_same_order():
    assert_equal(run(3, 0, num_workers=2), [make(step) for step in range(3, 12)])


def send_at_step(number, at):
    """A batch maker whose process sends itself a signal at a step."""

    def make_and_send(step):
        if step == at:
            os.kill(os.getpid(), number)
        return make(step)

    return make_and_send


def test_a_worker_that_was_killed_is_told_in_one_line_and_nothing_waits_for_it():
    with pytest.raises(RunError, match="a worker process was killed, most likely for lack of mem"):
        run(0, 0, send_at_step(signal.SIGKILL, 5), num_workers=2)


def test_workers_go_on_when_a_scheduler_tells_the_processes_of_a_job_to_end():
    told = run(0, 0, send_at_step(signal.SIGTERM, 5), num_workers=2)
    assert_equal(told, [make(step) for step in range(12)])


def test_an_error_in_a_worker_is_no_kill():
    def fails(step):
        raise RuntimeError("of its own")

    with pytest.raises(RuntimeError, match="of its own"):
        run(0, 0, fails, num_workers=1)


def test_as_many_batches_are_in_the_making_as_there_are_threads():
    at_once, most = threading.Semaphore(0), []

    def count(step):
        most.append(step)
        at_once.acquire(timeout=5)
        return {"step": step}

    ahead = batches(count, start=0, num_steps=100, num_threads=4)
    first = threading.Thread(target=next, args=(ahead,))
    first.start()
    deadline = time.monotonic() + 5
    while len(most) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(most) >= 4
    at_once.release(200)
    first.join()
    time.sleep(0.2)
    # The first, as many ready as there are threads, and one in the hand of each thread.
    assert len(most) <= 1 + 4 + 4


def test_an_error_while_making_a_batch_reaches_the_caller():
    def broken(step):
        raise OSError(f"cannot read the case of step {step}")

    with pytest.raises(OSError, match="cannot read the case of step 7"):
        next(batches(broken, start=7, num_steps=9, num_threads=2))


def test_leaving_early_ends_the_threads():
    before = threading.active_count()
    ahead = batches(make, start=0, num_steps=10_000, num_threads=3)
    next(ahead)
    del ahead
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before


def test_a_start_outside_the_run_is_refused():
    with pytest.raises(ValueError, match=r"start must lie in \[0, num_steps=4\]; got 5"):
        batches(make, start=5, num_steps=4, num_threads=0)


@pytest.mark.parametrize("counts", [{"num_threads": -1}, {"num_workers": -1}])
def test_a_negative_count_is_refused(counts):
    with pytest.raises(ValueError, match="=-1"):
        batches(make, start=0, num_steps=4, **counts)
