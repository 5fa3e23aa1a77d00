"""Which weights of a run are the best, and when nothing gets better: pure functions of its log.

Nothing is stored for them, so a resumed run decides as an uninterrupted one does.
"""

import math
from collections.abc import Mapping, Sequence

Evaluations = Sequence[tuple[int, Mapping[str, float | None]]]
"""(step, means of its rows) of every evaluation so far, in order; None where undefined."""


def best_step(evaluations: Evaluations) -> int | None:
    """Step of the smallest mean `loss`, the first of equals; None where no evaluation told one."""
    losses = [_value(means, "loss", math.inf) for _, means in evaluations]
    smallest = min(losses, default=math.inf)
    return evaluations[losses.index(smallest)][0] if smallest < math.inf else None


def is_stalled(evaluations: Evaluations, patience: int) -> bool:
    """Whether `patience` evaluations passed in which neither `loss` nor `accuracy` got better.

    Better is smaller, or larger, than all before; a patience of 0 never ends.
    """
    return 0 < patience <= len(evaluations) - _last_better(evaluations)


def _last_better(evaluations: Evaluations) -> int:
    """How many evaluations there were when one was last better than all before."""
    loss, accuracy, last = math.inf, -math.inf, 0
    for number, (_, means) in enumerate(evaluations, 1):
        lower, higher = _value(means, "loss", math.inf), _value(means, "accuracy", -math.inf)
        if lower < loss or higher > accuracy:
            last = number
        loss, accuracy = min(loss, lower), max(accuracy, higher)
    return last


def _value(means: Mapping[str, float | None], name: str, undefined: float) -> float:
    value = means.get(name)
    return undefined if value is None else value
