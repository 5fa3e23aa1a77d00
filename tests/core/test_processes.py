"""Work in processes of their own."""

import os

import pytest

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


def test_there_is_a_process_at_least():
    with pytest.raises(ValueError, match="num_processes must be positive; got 0"):
        list(in_processes(square_and_process, [1], 0))
