"""What a preparation will take is told before it starts, and refused where there is no room."""

import logging
import shutil
from pathlib import Path

import pytest

from core.commands.outlook import _size, require_room
from core.commands.sources import Source
from core.errors import InputError
from tests.refusals import refused


def source(num_bytes):
    def told():
        if isinstance(num_bytes, Exception):
            raise num_bytes
        return num_bytes

    return Source("a", "a", (Path("a"),), lambda: ({}, {}), told)


def test_cases_and_bytes_are_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        require_room([source(1_500_000), source(1_000_000)], tmp_path)
        require_room([], tmp_path)
    (line,) = caplog.messages
    assert line.startswith("2 cases to prepare, about 2.5 MB of ")


def test_what_cannot_fit_is_refused_before_it_starts(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    with refused(tmp_path, "2 cases take about", "is free", hint="--out on another disk"):
        require_room([source(2 * free), source(1)], tmp_path)


def test_a_header_that_cannot_be_read_is_no_matter_yet(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        require_room([source(InputError("is cut short")), source(10)], tmp_path)
    assert "about 10 B of" in caplog.messages[0]


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (10**12, "1.0 TB"), (10**16, "10000.0 TB")],
)
def test_sizes_are_in_the_largest_unit_that_leaves_at_least_one(num_bytes, text):
    assert _size(num_bytes) == text
