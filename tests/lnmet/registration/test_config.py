import re
from dataclasses import fields

import pytest

from core.config import documentation, from_json, to_json
from lnmet.registration.config import ConvexAdamConfig, RegistrationConfig
from tests.test_config_addresses import ADDRESS


@pytest.mark.parametrize("cls", [ConvexAdamConfig, RegistrationConfig])
def test_every_field_ends_with_its_address(cls: type):
    texts, address = documentation(cls), re.compile(rf"{ADDRESS.pattern}$")
    assert [f.name for f in fields(cls) if not address.search(texts[f.name])] == []


def test_configs_go_through_json():
    cfg = RegistrationConfig(convexadam=ConvexAdamConfig(couplings=(0.1, 1.0)))
    assert from_json(RegistrationConfig, to_json(cfg)) == cfg


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"spacing_mm": 0.0}, "spacing_mm must be positive; got 0"),
        ({"min_overlap": 0.0}, "min_overlap must be positive"),
        ({"min_overlap": 2.0}, r"min_overlap must lie in \[0, 1\]"),
        ({"margin_mm": -1.0}, "margin_mm must not be negative; got -1"),
        ({"multiple": 0}, "multiple must be positive"),
        ({"method": "demons"}, "method must be one of"),
        ({"affine": True}, "affine goes before deeds; got method=convexadam"),
    ],
)
def test_what_makes_no_sense_is_refused(values: dict, told: str):
    with pytest.raises(ValueError, match=told):
        RegistrationConfig(**values)


@pytest.mark.parametrize("name", ["mind_radius", "grid_spacing", "iterations", "learning_rate"])
def test_numbers_of_convexadam_are_positive(name: str):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        ConvexAdamConfig(**{name: 0})
