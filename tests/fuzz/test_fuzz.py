"""Ten minutes of fuzzing, with the same draws each time; `python -m tests.fuzz` draws others."""

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.targets import TARGETS

MINUTES = 10


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_end_in_a_value_or_one_line(target, tmp_path):
    outcome = run(target, 60 * MINUTES / len(TARGETS), tmp_path, seed=0)
    assert not outcome.fault, f"{outcome.fault}\n{(tmp_path / f'{target}.log').read_text()[-4000:]}"
    assert outcome.examples > 0
