"""A plan in words, and as plain values."""

import math
from typing import Any

from tqdm import tqdm

from core.plan.estimate import Plan, advice, fits, roofline
from core.plan.program import Program

GIB = 2**30


def as_text(plan: Plan) -> str:
    """Lines for a terminal."""
    best = roofline(plan.step, plan.chip, plan.dtype).seconds
    lines = [
        f"{plan.machine}: {plan.chips} × {plan.chip.name}, {plan.dtype}",
        *_program("training step", plan.step, plan),
        f"  host         {_host(plan.core_seconds, best)}",
        *_program("inference", plan.ask, plan),
        f"recipe         {plan.steps} steps{_at_best(best * plan.steps)}",
        f"checkpoint     {_si(plan.checkpoint_bytes)}B",
        f"cache          {_si(plan.cache_bytes)}B, of as many cases as the paper has",
        *(f"→ {line}" for line in advice(plan)),
    ]
    return "\n".join(lines)


def _host(core_seconds: float, best: float) -> str:
    text = f"{core_seconds * 1000:.3g} ms of one core of this host for a batch"
    if math.isnan(best):
        return text
    cores = math.ceil(core_seconds / best)
    return f"{text}: " + (f"{cores} cores keep pace" if cores > 1 else "not data-bound")


def _at_best(seconds: float) -> str:
    return "" if math.isnan(seconds) else f", at best {tqdm.format_interval(seconds)}"


def _program(title: str, program: Program, plan: Plan) -> list[str]:
    chip = plan.chip
    share = f"{program.examples} examples on {program.chips} of {plan.chips} chips"
    has = f"{program.peak_bytes / GIB:.2f} of {chip.memory / GIB:.1f} GiB a chip"
    verdict = "fits" if fits(program, chip) else "does NOT fit"
    lines = [f"{title:14} {share}", f"  memory       {has}: {verdict}"]
    if math.isnan(program.moved_bytes):
        return lines
    best = roofline(program, chip, plan.dtype)
    sent = [f"{n} {kind} of {_si(size)}B" for kind, (n, size) in program.collectives.items()]
    parts = ", ".join(f"{name} {getattr(best, name) * 1000:.3g}" for name in best._fields)
    return [
        *lines,
        f"  work         {_si(program.flops)}FLOP, {_si(program.moved_bytes)}B moved, a chip",
        f"  collectives  {', '.join(sent) or 'none'}",
        f"  at best      {best.seconds * 1000:.3g} ms ({parts}): {best.bound}; "
        f"{_three_digits(program.examples / best.seconds)} examples/s",
        f"  compiled in  {program.compile_seconds:.0f} s",
    ]


def _three_digits(value: float) -> str:
    """All digits of a large number, of which the first three count.

    >>> _three_digits(1961234.0), _three_digits(0.05134)
    ('1,960,000', '0.0513')
    """
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def _si(value: float) -> str:
    """Three digits, a space and a prefix.

    >>> _si(1.234e10) + "B", _si(56.0) + "B"
    ('12.3 GB', '56 B')
    """
    power = min((len(str(int(value))) - 1) // 3, 4)
    return f"{value / 1000**power:.3g} {['', 'k', 'M', 'G', 'T'][power]}"


def as_values(plan: Plan) -> dict[str, Any]:
    """What a machine reads; seconds are those of the roofline."""

    def of(program: Program) -> dict[str, Any]:
        best = roofline(program, plan.chip, plan.dtype)
        bound = {**best._asdict(), "total": best.seconds, "bound": best.bound}
        sent = {k: {"count": n, "bytes": size} for k, (n, size) in program.collectives.items()}
        values = program._asdict() | {"collectives": sent, "seconds": bound}
        del values["text"]
        return {**values, "fits": fits(program, plan.chip)}

    chip = {name: value for name, value in plan.chip._asdict().items() if name != "target"}
    return {**plan._asdict(), "chip": chip, "step": of(plan.step), "ask": of(plan.ask)} | {
        "advice": advice(plan)
    }
