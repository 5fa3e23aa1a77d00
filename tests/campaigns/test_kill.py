"""A few kills of each command; the campaign of a hundred is `python -m tests.campaigns.kill`."""

import random

import pytest

from tests.campaigns.kill import BEGIN, END, PAGE, campaign, commands


@pytest.mark.slow
def test_killed_at_random_moments_nothing_is_lost_and_nothing_is_wrong(tmp_path):
    for number, command in enumerate(commands(tmp_path)):
        counts = campaign(command, 5, tmp_path / str(number), random.Random(7))
        assert counts.kills == 5


def test_the_counts_have_their_place():
    assert PAGE.read_text("utf-8").count(BEGIN) == PAGE.read_text("utf-8").count(END) == 1
