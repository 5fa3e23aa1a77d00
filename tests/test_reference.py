"""Pages from docstrings: complete, and reachable from their index."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "reference"
    subprocess.run([sys.executable, ROOT / "docs" / "reference.py", folder], check=True)
    return folder


def test_every_room_and_package_has_a_page(folder):
    linked = set(re.findall(r"\]\((\S+)\)", (folder / "README.md").read_text("utf-8")))
    assert linked == {path.name for path in folder.iterdir()} - {"README.md"}
    rooms = {path.stem for path in (ROOT / "core").iterdir()} - {"__init__", "__pycache__"}
    assert linked == {f"core.{room}.md" for room in rooms} | {
        f"{paper}.md" for paper in ("s4c", "fee", "lnmet", "eusdaf")
    }


def test_a_page_has_every_public_name_its_shapes_and_errors(folder):
    text = (folder / "core.metrics.md").read_text("utf-8")
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    modules = sorted((ROOT / "core" / "metrics").glob("*.py"))
    nodes = [node for path in modules for node in ast.parse(path.read_text("utf-8")).body]
    documented = [n for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    public = [n.name for n in documented if n.name[0] != "_" and ast.get_docstring(n)]
    assert headings == public
    assert "def " not in text
    assert "instances(mask: NDArray[np.bool_], *, min_voxels: int) -> NDArray[np.int32]" in text
    assert "- `mask`: (d, h, w)." in text
    assert "- `ValueError`: the mask is not boolean (d, h, w)." in text


def test_fields_and_constants_have_their_texts(folder):
    text = (folder / "s4c.md").read_text("utf-8")
    assert "- `stride: int = 20`: Voxels between windows on every axis" in text
    assert "- `BODY_HU = -300.0`: What is denser is a body" in text
