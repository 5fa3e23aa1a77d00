import re
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from core.report import manifest as module
from core.report.manifest import commit, manifest, versions


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_manifest_says_what_made_a_result_and_what_it_cost():
    content = manifest(fingerprint="abc", devices=["cpu"] * 2, measured={"compile_seconds": 1.5})
    assert content["versions"]["panjax"] == metadata.version("panjax")
    assert content["versions"]["jax"] == metadata.version("jax")
    assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?|unknown", content["commit"])
    cost = {"fingerprint": "abc", "devices": ["cpu", "cpu"], "compile_seconds": 1.5}
    assert {name: content[name] for name in cost} == cost


def test_commit_tells_an_edited_checkout_from_a_clean_one(tmp_path: Path):
    git(tmp_path, "init")
    (tmp_path / "a.py").write_text("1")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "a")
    clean = commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "a.py").write_text("2")
    assert commit(tmp_path) == f"{clean}+changes"
    assert commit(tmp_path, but_for=["*.md"]) == f"{clean}+changes"
    assert commit(tmp_path, but_for=["*.py"]) == clean


def test_commit_is_unknown_outside_a_checkout_and_for_ignored_folders(tmp_path: Path):
    assert commit(tmp_path) == "unknown"
    git(tmp_path, "init")
    installed = tmp_path / ".venv"
    installed.mkdir()
    (installed / "a.py").write_text("1")
    (tmp_path / "mine.py").write_text("1")
    git(tmp_path, "add", "mine.py")
    git(tmp_path, "commit", "-m", "a")
    assert commit(installed) == "unknown"


def test_commit_is_unknown_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(Path(__file__).parent) == "unknown"


def test_versions_are_empty_when_the_package_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PACKAGE", "panjax-that-nobody-installed")
    assert versions() == {}
