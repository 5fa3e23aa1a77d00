"""The laws of the house: who may import whom."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAPERS = ("fee", "s4c", "lnmet", "eusdaf")
ROOMS = """types check errors names lock atomic json_io csv_io config processes random volume io
datasets phases screening phantom preprocess data augment nn distance losses postprocess metrics
report compiler malloc sharding train infer plan nnunet commands cli""".split()
HOST_ROOMS = """check errors names lock atomic json_io csv_io config processes volume io datasets
phases screening phantom preprocess data postprocess report cli""".split()
# The loader comes from grain, which brings jax with it.
NOT_HOST = {"core.data.pipeline"}
STRANGERS_OF_TRAIN = {"losses", "nn", "data", "metrics"}
FILES = sorted(p for top in ("core", *PAPERS) for p in (ROOT / top).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, also inside functions: "core.io.nifti"."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
    return imported


def inside(path: Path) -> list[str]:
    return list(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: ".".join(inside(p)))
def test_imports_keep_the_laws(path: Path):
    top, room, *_ = [*inside(path), ""]
    tops = {name.split(".")[0] for name in imports(path)}
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("core.")}
    assert not tops & ({*PAPERS, "tests", "benchmarks"} - {top}), "papers are strangers"
    if "flax" in tops:
        assert room in ("nn", "model"), "only core.nn and */model.py know flax"
    if "tyro" in tops:
        assert (top, room) == ("core", "cli"), "only core.cli knows tyro"
    if top == "core" and room != "__init__":
        above = [r for r in rooms if ROOMS.index(r) > ROOMS.index(room)]
        assert not above, f"{room} imports upward: {above}"
    if room == "train" and top == "core":
        assert not rooms & STRANGERS_OF_TRAIN, "train is handed functions"


def test_every_room_has_its_place():
    files = {p.stem for p in (ROOT / "core").glob("*.py")} - {"__init__"}
    folders = {p.parent.name for p in (ROOT / "core").glob("*/__init__.py")}
    assert files | folders <= set(ROOMS)


def test_host_rooms_work_without_jax():
    rooms = [f"core.{room}" for room in HOST_ROOMS]
    names = [".".join(inside(path)) for path in FILES]
    ends = tuple(f"{top}.{file}" for top in PAPERS for file in ("config", "cli"))
    host = [n for n in names if ".".join(n.split(".")[:2]) in rooms or n.endswith(ends)]
    host = [n for n in {*host, "core.train.config"} if n not in NOT_HOST]
    code = "import sys; sys.modules.update(jax=None, flax=None, optax=None)\n"
    code += "\n".join(f"import {name}" for name in host)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_networks_work_without_readers_of_files_and_the_input_pipeline():
    """A machine that only computes may have no more than JAX."""
    absent = ("pydicom", "nibabel", "grain", "tyro")
    code = f"import sys; sys.modules.update(dict.fromkeys({absent}))\n"
    code += "".join(f"import {p}.config, {p}.model, {p}.loss, {p}.networks\n" for p in PAPERS)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_module_asks_for_devices_when_it_is_imported():
    """Hosts join each other before that, and a command that is refused starts no device."""
    modules = [".".join(inside(p)) for p in FILES if p.stem not in ("__init__", "__main__")]
    code = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "none"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
