import pytest

from core.train.config import RunConfig


@pytest.mark.parametrize("name", ["steps", "log_every", "checkpoint_every", "keep_checkpoints"])
def test_counts_are_positive(name: str):
    with pytest.raises(ValueError, match=f"run.{name} must be positive; got 0"):
        RunConfig(**{"steps": 1, name: 0})


@pytest.mark.parametrize("name", ["seed", "evaluate_every"])
def test_seed_and_evaluate_every_are_not_negative(name: str):
    with pytest.raises(ValueError, match=f"run.{name} must not be negative; got -1"):
        RunConfig(**{"steps": 1, name: -1})
