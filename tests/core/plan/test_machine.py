"""Machines by their names, here and elsewhere."""

import importlib.util

import jax
import pytest

from core.plan import machine as module
from core.plan.chips import GPUS, TPUS
from core.plan.machine import machine
from tests.refusals import refused


@pytest.mark.parametrize("name", ["", "h100", "h100:9", "h100:0", "cpu:2", "v5e:4", "v9:2x2"])
def test_an_unknown_machine_is_refused_with_those_that_are_known(name):
    with refused(None, f"unknown machine {name!r}", hint="known are cpu, h100:N and a100:N"):
        machine(name)


@pytest.mark.parametrize(("name", "extra"), [("h100:8", "cuda12"), ("v5e:4x4", "tpu")])
def test_a_compiler_that_is_missing_is_named_with_its_extra(name, extra, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    hint = f"pip install 'panjax[{extra}]'"
    with refused(None, f"the compiler for {name} is not installed", hint=hint):
        machine(name)


def test_this_cpu_is_one_device_with_the_speed_that_it_shows():
    here = machine("cpu")
    assert here.devices == jax.devices("cpu")[:1]
    # A core does at least one operation, and moves a byte, in ten nanoseconds.
    assert here.chip.flops["float32"] > 1e8
    assert here.chip.bandwidth > 1e8


def test_every_chip_has_both_compute_types_and_no_speed_is_zero():
    for chip in (*GPUS.values(), *TPUS.values()):
        assert set(chip.flops) == {"float32", "bfloat16"}
        assert min(chip.memory, chip.bandwidth, chip.links, *chip.flops.values()) > 0


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="needs panjax[tpu]")
def test_a_slice_has_as_many_chips_as_its_layout():
    assert len(machine("v5e:4x4").devices) == 16
    assert len(machine("v5p:2x2x4").devices) == 16
    assert len(machine("v5e:1x1").devices) == 1
    with refused(None, "v5e:3x3 is no slice that libtpu knows"):
        machine("v5e:3x3")
