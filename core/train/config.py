"""What a training run needs besides the task: how long, and how often to look and to save."""

from dataclasses import dataclass, replace

from core import check


@dataclass(frozen=True)
class RunConfig:
    """Length and rhythm of a training run."""

    steps: int = 0
    """Updates of the parameters; 0 where `epochs` says how long (Not stated: each recipe sets its
    paper's number)"""
    epochs: int = 0
    """Passes over the training images; 0 where `steps` says how long (Not stated: as for steps)"""
    seed: int = 0
    """Seed of initialisation, sampling and augmentation (Not stated: any; it makes runs repeat)"""
    log_every: int = 100
    """Steps between lines of metrics (Not stated: reading habit, changes no result)"""
    checkpoint_every: int = 1000
    """Steps between checkpoints (Not stated: minutes of work lost at most when killed)"""
    keep_checkpoints: int = 2
    """Newest checkpoints kept (Not stated: one, and one before it should a disk fail)"""
    evaluate_every: int = 0
    """Steps between evaluations; 0 is at the end only (Not stated: costs time, alters nothing)"""

    def __post_init__(self) -> None:
        for name in ("log_every", "checkpoint_every", "keep_checkpoints"):
            check.positive(f"run.{name}", getattr(self, name))
        for name in ("steps", "epochs", "seed", "evaluate_every"):
            check.at_least(f"run.{name}", getattr(self, name), 0)
        if (self.steps > 0) is (self.epochs > 0):
            raise ValueError(
                "one of run.steps and run.epochs must be positive and the other 0; "
                f"got {self.steps} and {self.epochs}"
            )

    def in_steps(self, num_examples: int, batch: int) -> "RunConfig":
        """The same run with its length in steps: epochs · num_examples / batch, rounded up."""
        if self.steps:
            return self
        return replace(self, steps=-(-self.epochs * num_examples // batch), epochs=0)
