"""What a recipe needs on a machine that is not here."""

import json
from collections.abc import Callable
from typing import Any

import jax

from core import config, json_io
from core.plan import text
from core.plan.estimate import Plan
from core.plan.job import Job, host_work
from core.plan.machine import machine
from core.plan.program import inference, num_bytes, state_of, training_step


def plan(
    cfg: Any,
    job_of: Callable[[Any], Job],
    on: str,
    *,
    fsdp: bool = False,
    space: int = 1,
    as_json: bool = False,
) -> None:
    """Compile a recipe's training step and inference for a machine, and print what it needs.

    Args:
      cfg: the recipe.
      job_of: cfg → what is compiled, without data.
      on: the machine's name.
      fsdp: cut the state over the chips.
      space: chips that share one example.
      as_json: print values instead of text.

    Raises:
      InputError: no such machine, or its chips cannot share the examples so.
    """
    # Devices that are here would otherwise be taken, those of `libtpu` looked for.
    jax.config.update("jax_platforms", "cpu")
    planned = planned_on(job_of(cfg), on, fsdp=fsdp, space=space)
    if not as_json:
        print(text.as_text(planned))
        return
    values = {"fingerprint": config.fingerprint(cfg), **text.as_values(planned)}
    print(json.dumps(json_io.plain(values), indent=2))


def planned_on(job: Job, on: str, *, fsdp: bool = False, space: int = 1) -> Plan:
    """The plan of a job on a machine, as `plan` prints it."""
    there, host = machine(on), host_work(job)
    step = training_step(job, host.batch, there, fsdp=fsdp, space=space)
    return Plan(
        there.name,
        there.chip,
        chips=len(there.devices),
        dtype=job.dtype,
        steps=job.run.steps,
        step=step,
        ask=inference(job, there),
        checkpoint_bytes=num_bytes(state_of(job)),
        cache_bytes=job.cache_bytes,
        core_seconds=host.core_seconds,
        shares={"fsdp": int(fsdp), "space": space},
    )
