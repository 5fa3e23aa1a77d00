"""Every number of a config says where it comes from."""

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from core.config import documentation

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted([*ROOT.glob("*/config.py"), *ROOT.glob("*/*/*config.py")])
    if path.parts[len(ROOT.parts)] != "tests"
]
CONFIGS = [
    value
    for module in map(importlib.import_module, MODULES)
    for value in vars(module).values()
    if inspect.isclass(value) and is_dataclass(value) and value.__module__ == module.__name__
]
# "(Sec. 2.2)", "(PNET Table 1: what it says)", "(Methods, Image screening)" where sections have no
# numbers, "(Ref: public source)", "(Not stated: why)".
PLACES = "Sec\\. |Table |Fig\\. |Eq\\. |Methods, |Results, |Ref: |Not stated: "
ADDRESS = re.compile(rf"\((?:[A-Z]\w+ )?(?:{PLACES}).+\)")


@pytest.mark.parametrize("cls", CONFIGS, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_every_field_ends_with_its_address(cls: type):
    texts = documentation(cls)
    without = [f.name for f in fields(cls) if not re.search(rf"{ADDRESS.pattern}$", texts[f.name])]
    assert not without, f"say where they come from: {without}"


@pytest.mark.parametrize("cls", CONFIGS, ids=lambda c: f"{c.__module__}.{c.__name__}")
def test_configs_are_frozen(cls: type):
    assert cls.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_configs_are_found():
    assert {"core.train.config", "s4c.config"} <= {c.__module__ for c in CONFIGS}
