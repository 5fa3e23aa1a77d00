"""Bounds are quotients of work and speed; advice is a flag."""

import math

import pytest

from core.plan.chips import Chip
from core.plan.estimate import Plan, advice, fits, roofline
from core.plan.program import Program
from core.plan.text import as_text, as_values

GIB = 2**30
CHIP = Chip("chip", 16 * GIB, 1e12, {"float32": 1e14, "bfloat16": 2e14}, 1e11)


def program(**changes) -> Program:
    usual = Program(
        chips=4,
        examples=16,
        peak_bytes=8 * GIB,
        argument_bytes=GIB,
        flops=2e12,
        moved_bytes=1e10,
        collectives={"all-reduce": (57, 4e8), "all-gather": (1, 1e8)},
        compile_seconds=50,
    )
    return usual._replace(**changes)


def plan(step: Program, **changes) -> Plan:
    usual = Plan(
        machine="chip:4",
        chip=CHIP,
        chips=4,
        dtype="float32",
        steps=1000,
        step=step,
        ask=program(),
        checkpoint_bytes=GIB,
        cache_bytes=45e9,
        core_seconds=0.001,
        shares={"fsdp": 0, "space": 1},
    )
    return usual._replace(**changes)


def test_a_roofline_is_work_over_speed_and_the_largest_part_bounds():
    best = roofline(program(), CHIP, "float32")
    # Around a ring of four every byte of a sum passes twice, of a gathering once, but for a fourth.
    assert best == pytest.approx((2e12 / 1e14, 1e10 / 1e12, (2 * 4e8 + 1e8) * 3 / 4 / 1e11))
    assert (best.seconds, best.bound) == (best.compute, "compute")
    assert roofline(program(), CHIP, "bfloat16").compute == best.compute / 2


def test_one_chip_sends_nothing():
    assert roofline(program(chips=1), CHIP, "float32").links == 0


def test_all_is_well_where_a_step_fits_and_the_host_keeps_pace():
    assert fits(program(), CHIP)
    assert advice(plan(program())) == []


@pytest.mark.parametrize(
    ("changes", "more", "said"),
    [
        # 1 GiB of state; 4 examples take 31 GiB: 7.75 each, so that 15 hold one on each chip.
        ({"peak_bytes": 32 * GIB}, {}, "--data.batch 4 would"),
        ({"peak_bytes": 32 * GIB, "examples": 4}, {}, "--model.dtype bfloat16"),
        ({"peak_bytes": 32 * GIB, "examples": 4}, {"dtype": "bfloat16"}, "--space 2"),
        ({"peak_bytes": 32 * GIB, "examples": 4}, {"checkpoint_bytes": 12.0 * GIB}, "--fsdp"),
    ],
)
def test_a_step_that_does_not_fit_gets_the_first_change_that_helps(changes, more, said):
    (line,) = advice(plan(program(**changes), **more))
    assert "does not fit" in line
    assert line.endswith(said)


def test_idle_chips_a_slow_host_and_a_large_inference_are_named():
    slow = plan(program(chips=2, examples=2), core_seconds=0.05, ask=program(peak_bytes=17 * GIB))
    idle, ask, host = advice(slow)
    assert idle == "a batch of 2 is trained on 2 of 4 chips: --data.batch 4 or a multiple takes all"
    assert "--infer.batch" in ask
    # 50 ms of a core against a step of 20 ms.
    assert host.endswith("fewer than 3 host cores like this one's: --workers 3")


def test_a_step_that_no_host_can_feed_is_said_to_need_fewer_chips():
    (line,) = advice(plan(program(), core_seconds=0.02 * 1000))
    assert line.endswith(
        "1000 host cores like this one's, more than a host has: fewer chips are as fast"
    )


def test_the_text_names_memory_work_collectives_time_host_checkpoint_and_cache():
    text = as_text(plan(program()))
    for part in (
        "chip:4: 4 × chip, float32",
        "16 examples on 4 of 4 chips",
        "8.00 of 16.0 GiB a chip: fits",
        "2 TFLOP, 10 GB moved, a chip",
        "57 all-reduce of 400 MB, 1 all-gather of 100 MB",
        "20 ms (compute 20, memory 10, links 6.75): compute; 800 examples/s",
        "1 ms of one core of this host for a batch: not data-bound",
        "1000 steps, at best 00:20",
        "checkpoint     1.07 GB",
        "cache          45 GB, of as many cases as the paper has",
    ):
        assert part in text


def test_a_step_that_did_not_compile_has_no_time():
    failed = program(peak_bytes=20 * GIB, moved_bytes=math.nan, collectives={})
    text = as_text(plan(failed))
    assert "20.00 of 16.0 GiB a chip: does NOT fit" in text
    assert "recipe         1000 steps\n" in text
    values = as_values(plan(failed))
    assert math.isnan(values["step"]["seconds"]["total"])
    assert values["step"]["fits"] is False
    assert values["advice"] == advice(plan(failed))
