"""A few kills of each command; the campaign of a hundred is `python -m tests.campaigns.kill`."""

import subprocess
import sys

import pytest

from tests.campaigns.kill import BEGIN, END, LIMIT_S, PAGE, ROOT


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_wrong():
    # In a process of its own: it forks, and ours has threads.
    command = [sys.executable, "-m", "tests.campaigns.kill", "--times", "5", "--seed", "7"]
    told = subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=4 * LIMIT_S
    )
    rows = [line.split(" | ") for line in told.stdout.decode().splitlines()]
    assert [row[1] for row in rows] == ["5", "5"]


def test_the_counts_have_their_place():
    assert PAGE.read_text("utf-8").count(BEGIN) == PAGE.read_text("utf-8").count(END) == 1
