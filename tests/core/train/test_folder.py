from dataclasses import dataclass
from pathlib import Path

import pytest

from core.errors import InputError
from core.train.folder import load_config, open_run


@dataclass(frozen=True)
class Config:
    """Two numbers."""

    rate: float = 0.1
    width: int = 8


def test_config_of_a_run_is_read_back(tmp_path: Path):
    open_run(tmp_path / "run", Config(width=16), resume=False)
    assert load_config(Config, tmp_path / "run") == Config(width=16)


def test_resume_accepts_the_same_config_and_a_run_that_never_began(tmp_path: Path):
    for _ in range(2):
        open_run(tmp_path / "run", Config(), resume=True)


def test_existing_run_is_not_started_over(tmp_path: Path):
    open_run(tmp_path, Config(), resume=False)
    with pytest.raises(InputError, match="already holds a run; continue it with --resume"):
        open_run(tmp_path, Config(), resume=False)


def test_resume_under_another_config_is_refused_with_the_difference(tmp_path: Path):
    open_run(tmp_path, Config(), resume=False)
    with pytest.raises(InputError, match=r"rate: 0.1 → 0.2, width: 8 → 9"):
        open_run(tmp_path, Config(rate=0.2, width=9), resume=True)


def test_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"is no run: config\.json is missing"):
        load_config(Config, tmp_path)
