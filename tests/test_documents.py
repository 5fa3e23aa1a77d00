"""What the documents name is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INPUTS, RELIABILITY = (
    (ROOT / "docs" / name).read_text("utf-8") for name in ("inputs.md", "reliability.md")
)
TESTS = sorted(set(re.findall(r"`([\w/]+\.py)::(\w+)`", INPUTS + RELIABILITY)))


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_the_test_of_a_row_is_there(file, name):
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_row_of_inputs_names_a_test():
    rows = [line for line in INPUTS.split("<!-- real files: begin -->")[0].splitlines()]
    rows = [r for r in rows if r.startswith("| ") and not r.startswith(("| input", "|---"))]
    assert len(rows) > 20
    assert [row for row in rows if "::" not in row] == []
