"""The command prints a plan, in words or as values."""

import json
from dataclasses import dataclass

from core import config
from core.commands.plan import plan
from tests.core.plan.tiny_job import BATCH, tiny_job


@dataclass(frozen=True)
class Recipe:
    """Nothing but a fingerprint."""

    width: int = 8


def job_of(_: Recipe):
    return tiny_job()


def test_a_plan_for_this_cpu_is_printed_in_words(capsys):
    plan(Recipe(), job_of, "cpu")
    text = capsys.readouterr().out
    assert f"training step  {BATCH} examples on 1 of 1 chips" in text
    assert "20 steps, at best" in text


def test_a_plan_as_values_is_json_with_the_fingerprint_of_the_recipe(capsys):
    plan(Recipe(), job_of, "cpu", as_json=True)
    values = json.loads(capsys.readouterr().out)
    assert values["fingerprint"] == config.fingerprint(Recipe())
    assert values["step"]["examples"] == BATCH
    assert values["step"]["collectives"] == {}
    assert "target" not in values["chip"]
