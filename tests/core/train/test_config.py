import pytest

from core.train.config import RunConfig


@pytest.mark.parametrize("name", ["log_every", "checkpoint_every", "keep_checkpoints"])
def test_counts_are_positive(name: str):
    with pytest.raises(ValueError, match=f"run.{name} must be positive; got 0"):
        RunConfig(**{"steps": 1, name: 0})


@pytest.mark.parametrize("name", ["steps", "epochs", "seed", "evaluate_every"])
def test_numbers_are_not_negative(name: str):
    with pytest.raises(ValueError, match=f"run.{name} must not be negative; got -1"):
        RunConfig(**{"steps": 1, name: -1})


@pytest.mark.parametrize("length", [{}, {"steps": 1, "epochs": 1}])
def test_a_run_is_as_long_as_its_steps_or_its_epochs_say(length: dict[str, int]):
    with pytest.raises(ValueError, match=r"one of run\.steps and run\.epochs must be positive"):
        RunConfig(**length)


@pytest.mark.parametrize(("examples", "batch", "steps"), [(64, 32, 100), (65, 32, 102), (3, 32, 5)])
def test_epochs_become_steps_that_hold_every_example_that_often(examples, batch, steps):
    run = RunConfig(epochs=50).in_steps(examples, batch)
    assert (run.steps, run.epochs) == (steps, 0)
    assert steps * batch - 50 * examples in range(batch)
    assert run.in_steps(examples, batch) is run
