"""Numbers that make no sense are refused by name; which paper they are from is tested elsewhere."""

import pytest

from eusdaf.config import InferConfig, OptimConfig, PrepareConfig, SplitConfig


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (SplitConfig, {"num_folds": 1}, "num_folds must be at least 2; got 1"),
        (PrepareConfig, {"size": 50}, "must be divisible by 32"),
        (OptimConfig, {"drop_epochs": (0, 5)}, r"drop_epochs count from 1; got \(0, 5\)"),
        (InferConfig, {"threshold": 1.5}, r"threshold must lie in \[0, 1\]; got 1.5"),
        (InferConfig, {"clip_fraction": -0.1}, r"clip_fraction must lie in \[0, 1\]; got -0.1"),
        (InferConfig, {"batch": 0}, "batch must be positive; got 0"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(section, values, message):
    with pytest.raises(ValueError, match=message):
        section(**values)
