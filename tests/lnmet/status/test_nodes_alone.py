"""The rule of nodes alone: a volume that is chosen on the validation part, and kept in the run."""

from pathlib import Path

import pytest

from lnmet.data import Prepared
from lnmet.status.nodes_alone import (
    Threshold,
    choose_threshold,
    read_threshold,
    write_threshold,
)
from tests.lnmet.phantoms import prepared

VOLUMES = {"a": 0.0, "b": 100.0, "c": 200.0, "d": 50.0, "e": 300.0}


def cases(**statuses: bool | None) -> list[Prepared]:
    return [prepared(name)._replace(status=status) for name, status in statuses.items()]


def test_it_is_the_volume_of_the_best_balanced_accuracy():
    """From 200 on both positive patients are found, and no other."""
    val = cases(a=False, b=False, c=True, e=True)
    assert choose_threshold(VOLUMES, {"val": val}) == Threshold(200.0, "val")


def test_the_validation_part_decides_where_it_has_both_kinds():
    parts = {"val": cases(a=False, b=True), "train": cases(c=False, e=True)}
    assert choose_threshold(VOLUMES, parts) == Threshold(100.0, "val")


@pytest.mark.parametrize("statuses", [{}, {"a": False, "d": False}, {"b": True, "c": None}])
def test_a_part_of_one_kind_alone_decides_nothing(statuses: dict[str, bool | None]):
    parts = {"val": cases(**statuses), "train": cases(c=False, e=True)}
    assert choose_threshold(VOLUMES, parts) == Threshold(300.0, "train")


def test_cases_without_a_volume_are_left_out():
    parts = {"val": cases(a=False, b=True, x=False)}
    assert choose_threshold(VOLUMES, parts) == Threshold(100.0, "val")


def test_without_patients_of_both_kinds_there_is_none(tmp_path: Path):
    chosen = choose_threshold(VOLUMES, {"val": cases(a=False), "train": cases(b=False)})
    assert chosen is None
    write_threshold(tmp_path, chosen)
    assert read_threshold(tmp_path) is None


def test_a_run_keeps_it(tmp_path: Path):
    write_threshold(tmp_path, Threshold(64.0, "val"))
    assert read_threshold(tmp_path) == 64.0
