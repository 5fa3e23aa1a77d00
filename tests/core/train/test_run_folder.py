import json
from dataclasses import dataclass
from pathlib import Path

import jax
import pytest

from core import sharding
from core.config import fingerprint
from core.preprocess.appearance import Appearance, seen_in
from core.train.run_folder import (
    Division,
    finish_run,
    is_finished,
    load_config,
    open_run,
    read_division,
    record_division,
)
from tests.refusals import refused

pytestmark = pytest.mark.several_devices


@dataclass(frozen=True)
class Config:
    """Two numbers."""

    rate: float = 0.1
    width: int = 8


DIVISION = Division(2, ("a", "b"), (), ("c",), {"1": "train", "2": "test"}, {"p": "train"})


def test_config_of_a_run_is_read_back(tmp_path: Path):
    open_run(tmp_path / "run", Config(width=16), resume=False)
    assert load_config(Config, tmp_path / "run") == Config(width=16)


def test_resume_accepts_the_same_config_and_a_run_that_never_began(tmp_path: Path):
    for _ in range(2):
        open_run(tmp_path / "run", Config(), resume=True)


def begin(workdir: Path) -> None:
    """A run of the config that has written its first lines."""
    open_run(workdir, Config(), resume=False)
    (workdir / "metrics.jsonl").touch()


def test_call_that_was_refused_before_the_first_step_is_no_run(tmp_path: Path):
    open_run(tmp_path, Config(), resume=False)
    record_division(tmp_path, DIVISION)
    open_run(tmp_path, Config(width=9), resume=False)
    record_division(tmp_path, DIVISION._replace(fold=1))
    assert load_config(Config, tmp_path) == Config(width=9)
    assert read_division(tmp_path).fold == 1


def test_existing_run_is_not_started_over(tmp_path: Path):
    begin(tmp_path)
    with refused(tmp_path, "already holds a run", hint="--resume"):
        open_run(tmp_path, Config(), resume=False)


def test_resume_under_another_config_is_refused_with_the_difference(tmp_path: Path):
    begin(tmp_path)
    with refused(tmp_path / "config.json", "rate: 0.1 → 0.2", "width: 8 → 9", hint="new one"):
        open_run(tmp_path, Config(rate=0.2, width=9), resume=True)


def test_folder_that_is_no_run_is_refused(tmp_path: Path):
    with refused(tmp_path, "config.json"):
        load_config(Config, tmp_path)


def test_a_division_is_recorded_and_read_back(tmp_path: Path):
    record_division(tmp_path, DIVISION)
    assert read_division(tmp_path) == DIVISION
    record_division(tmp_path, DIVISION)


@pytest.mark.parametrize(
    "change", [{"fold": 1}, {"train": ("a",)}, {"val": ("x",)}, {"images": {"1": "train"}}]
)
def test_a_run_that_goes_on_with_other_cases_is_refused(tmp_path: Path, change):
    record_division(tmp_path, DIVISION)
    with refused(tmp_path / "folds.json", "other cases", "fold"):
        record_division(tmp_path, DIVISION._replace(**change))


def test_a_run_without_a_record_of_its_scans_goes_on_and_has_one_then(tmp_path: Path):
    mm, hu = (1.0, 2.0, 3.0), (-100.0, 0.0, 100.0)
    seen = seen_in([Appearance(mm, mm, hu)], mm)
    (tmp_path / "folds.json").write_text(json.dumps({**DIVISION._asdict(), "scans": None}))
    assert read_division(tmp_path) == DIVISION
    record_division(tmp_path, DIVISION._replace(scans=seen))
    assert read_division(tmp_path).scans == seen


def test_a_record_of_an_older_version_is_refused(tmp_path: Path):
    (tmp_path / "folds.json").write_text('{"fold": 0, "train": [], "test": []}')
    with refused(tmp_path / "folds.json", "'val'", hint="train again"):
        read_division(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"train": 5}, {"images": [1]}, {"patients": None}, {"val": None}, {"scans": 5}]
)
def test_a_damaged_record_is_refused(tmp_path: Path, changes):
    (tmp_path / "folds.json").write_text(json.dumps(DIVISION._asdict() | changes))
    with refused(tmp_path / "folds.json", "is damaged", hint="train again"):
        read_division(tmp_path)


def test_a_config_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_bytes(b'{"rate": "\x80"}')
    with refused(tmp_path / "config.json", "not a JSON file"):
        load_config(Config, tmp_path)


def test_a_run_ends_with_where_it_came_from_and_its_curves(tmp_path: Path):
    lines = [
        {"step": step, "loss": 1 / step, "time": {"examples_per_second": rate, **once}}
        for step, rate, once in ((1, 4.0, {"compile_seconds": 3.0, "peak_bytes": 5}), (2, 6.0, {}))
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    mesh = sharding.mesh(jax.devices()[:2])
    finish_run(Config(), mesh, tmp_path, curves=("loss",), more={"encoder_weights": "w.pth"})
    assert is_finished(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["fingerprint"] == fingerprint(Config())
    assert manifest["encoder_weights"] == "w.pth"
    assert len(manifest["devices"]) == 2
    measured = manifest["compile_seconds"], manifest["examples_per_second"], manifest["peak_bytes"]
    assert measured == (3.0, 5.0, 5)
    assert (tmp_path / "plots" / "loss.png").read_bytes().startswith(b"\x89PNG")
