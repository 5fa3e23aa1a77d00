"""Ten minutes of fuzzing, with the same draws each time; `python -m tests.fuzz` draws others."""

import pytest

from tests.fuzz.campaign import run
from tests.fuzz.targets import TARGETS

MINUTES = 10
INPUTS = {
    "dicom-header": 500,
    "dicom-pixels": 12_000,
    "volumes": 7_000,
    "pictures": 5_000,
    "dataset-json": 9_000,
    "archive": 7_500,
    "run": 500,
    "weights": 6_000,
}
"""About what two cores read in their share of the time: the same inputs on any machine."""


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_end_in_a_value_or_one_line(target, tmp_path):
    seconds = 60 * MINUTES / len(TARGETS)
    outcome = run(target, seconds, tmp_path, seed=0, most=INPUTS[target])
    assert not outcome.fault, f"{outcome.fault}\n{(tmp_path / f'{target}.log').read_text()[-4000:]}"
    assert outcome.examples > 0
