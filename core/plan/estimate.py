"""From programs to times and advice: what bounds a step, and what to change where it does not fit.

A roofline is a lower bound: no program is faster than its arithmetic, its memory and its links at
full speed. Kernels reach a part of each.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from core.plan.chips import Chip
from core.plan.program import Program

CORES_OF_A_HOST = 256
"""More are rare."""
_RING = {"all-reduce": 2.0}
"""How often each byte passes a link around a ring; once in the other collectives."""


class Roofline(NamedTuple):
    """Least seconds of one call by what bounds it."""

    compute: float
    memory: float
    links: float

    @property
    def seconds(self) -> float:
        """The largest; nan where the program did not compile."""
        return math.nan if math.isnan(self.memory) else max(self)

    @property
    def bound(self) -> str:
        """Which that is."""
        return max(self._fields, key=lambda name: getattr(self, name))


class Plan(NamedTuple):
    """All that is said of a recipe on a machine.

    Args:
      machine: its name.
      chip: what each of its chips has.
      chips: that it has.
      dtype: compute type.
      steps: of the recipe.
      step: the training step.
      ask: the inference pass.
      checkpoint_bytes: of the whole state on disk.
      cache_bytes: of the paper's cases, prepared.
      core_seconds: that one core of this machine works for a batch.
      shares: {"fsdp": …, "space": …}, as asked for.
    """

    machine: str
    chip: Chip
    chips: int
    dtype: str
    steps: int
    step: Program
    ask: Program
    checkpoint_bytes: float
    cache_bytes: float
    core_seconds: float
    shares: Mapping[str, int]


def roofline(program: Program, chip: Chip, dtype: str) -> Roofline:
    """Least seconds of a program's parts on a chip."""
    around = (program.chips - 1) / program.chips
    sent = sum(_RING.get(kind, 1.0) * size for kind, (_, size) in program.collectives.items())
    return Roofline(
        program.flops / chip.flops[dtype],
        program.moved_bytes / chip.bandwidth,
        sent * around / chip.links,
    )


def fits(program: Program, chip: Chip) -> bool:
    """Whether a chip holds it."""
    return program.peak_bytes <= chip.memory


def advice(plan: Plan) -> list[str]:
    """What to change, flag by flag; nothing where all is well."""
    step, chip, said = plan.step, plan.chip, []
    if step.chips < plan.chips:
        said.append(
            f"a batch of {step.examples} is trained on {step.chips} of {plan.chips} chips: "
            f"--data.batch {plan.chips // plan.shares['space']} or a multiple takes all"
        )
    if not fits(step, chip):
        said.append(_smaller(plan))
    if not fits(plan.ask, chip):
        said.append("inference does not fit: a smaller --infer.batch")
    best = roofline(step, chip, plan.dtype).seconds
    if plan.core_seconds > best:
        said.append(_data_bound(math.ceil(plan.core_seconds / best)))
    return said


def _data_bound(cores: int) -> str:
    text = f"data-bound on fewer than {cores} host cores like this one's"
    if cores <= CORES_OF_A_HOST:
        return f"{text}: --workers {cores}"
    return f"{text}, more than a host has: fewer chips are as fast"


def _smaller(plan: Plan) -> str:
    """The first change that makes a step fit, with each example's bytes taken to be alike."""
    step, groups = plan.step, plan.step.chips // plan.shares["space"]
    share, state = step.examples // groups, plan.checkpoint_bytes
    if plan.shares["fsdp"]:
        state /= step.chips
    room = max(0.0, plan.chip.memory - state)
    fitting = int(share * room // max(1.0, step.peak_bytes - state))
    if fitting:
        return f"the step does not fit: --data.batch {fitting * groups} would"
    if state > plan.chip.memory / 2 and not plan.shares["fsdp"]:
        return "the step does not fit, and most of it is the state: --fsdp"
    if plan.dtype == "float32":
        return "the step does not fit with one example a chip: --model.dtype bfloat16"
    return f"the step does not fit with one example a chip: --space {2 * plan.shares['space']}"
