"""Work in processes of their own."""

import os
import signal

import pytest

from core.errors import RunError
from core.processes import in_processes


def square_and_process(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def test_results_keep_the_order_of_the_items():
    assert [square for square, _ in in_processes(square_and_process, range(5), 1)] == [
        0, 1, 4, 9, 16,
    ]  # fmt: skip


@pytest.mark.slow  # two new processes import the tests' configuration
def test_items_go_to_other_processes():
    results = list(in_processes(square_and_process, range(5), 2))
    assert [square for square, _ in results] == [0, 1, 4, 9, 16]
    assert os.getpid() not in {process for _, process in results}


def die(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow  # likewise
def test_a_process_that_was_killed_is_told_in_one_line():
    with pytest.raises(RunError, match="a worker process was killed, most likely for lack of mem"):
        list(in_processes(die, range(5), 2))


def test_there_is_a_process_at_least():
    with pytest.raises(ValueError, match="num_processes must be positive; got 0"):
        list(in_processes(square_and_process, [1], 0))
