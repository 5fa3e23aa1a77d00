"""What is given out: everything that git has in the source, everything that runs in the wheel."""

import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("core", "s4c", "fee", "lnmet", "eusdaf")


def tracked() -> set[str]:
    """Files of the checkout; skips where there is none, as in a source distribution."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("needs a git checkout")
    return set(done.stdout.split())


def build(source: Path, kind: str, out: Path) -> Path:
    """A distribution, built by the backend that pyproject.toml names."""
    code = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, stdout=subprocess.PIPE)
    (file,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return file


class Built(NamedTuple):
    """Both distributions; the wheel is built from the source one."""

    source: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Built:
    root = tmp_path_factory.mktemp("built")
    for name in tracked():
        (root / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "checkout" / name).write_bytes((ROOT / name).read_bytes())
    source = build(root / "checkout", "sdist", root / "dist")
    with tarfile.open(source) as archive:
        archive.extractall(root / "source", filter="data")
    (unpacked,) = (root / "source").iterdir()
    return Built(source, build(unpacked, "wheel", root / "dist"))


@pytest.mark.slow
def test_the_source_has_all_that_git_has(built):
    with tarfile.open(built.source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert tracked() <= names


@pytest.mark.slow
def test_the_wheel_has_all_that_runs_templates_included(built):
    names = set(zipfile.ZipFile(built.wheel).namelist())
    expected = {name for name in tracked() if name.split("/")[0] in PACKAGES}
    assert "core/report/templates/viewer.js" in expected
    assert {name for name in names if ".dist-info/" not in name} == expected


@pytest.mark.slow
def test_an_installed_wheel_runs_outside_the_checkout(built, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    bin_ = venv / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", bin_ / "python", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", built.wheel], check=True)
    # What it depends on is here already; an editable install is not, for no .pth is read there.
    (site,) = venv.glob("lib/*/site-packages")
    outer = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("\n".join(outer))

    def call(*words: object) -> str:
        line = [bin_ / words[0], *words[1:]]
        return subprocess.run(
            line, cwd=tmp_path, env={"PATH": ""}, check=True, capture_output=True, text=True
        ).stdout

    where = call("python", "-c", "import core.report.html as h; print(h.__file__)")
    assert where.startswith(str(venv))
    for name in PACKAGES[1:]:
        assert call(name, "--version") == f"panjax {version('panjax')}\n"
        assert f"usage: {name} COMMAND" in call(name, "--help")
    call("s4c", "phantom", "cohort", "--num-cases", "1", "--spacing-mm", "8")
    (scan,) = (tmp_path / "cohort" / "imagesTr").iterdir()
    assert nib.load(scan).ndim == 3


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {version('panjax')}\n" in text


def test_the_image_installs_extras_that_there_are():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = re.findall(r"^(\w+) = \[", text.partition("[project.optional-dependencies]")[2], re.M)
    (cuda, cpu) = re.findall(r"whl\)\[([\w,]+)\]", (ROOT / "Dockerfile").read_text("utf-8"))
    assert set(cuda.split(",")) - set(cpu.split(",")) == {"cuda12"}
    assert set(cuda.split(",")) <= set(extras)
