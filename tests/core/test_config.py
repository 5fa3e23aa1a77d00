import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import config
from core.errors import InputError


@dataclass(frozen=True)
class Inner:
    """A part."""

    width: int = 32
    """Channels
    of the first step (Sec. 1)"""
    window: tuple[float, float] = (-100.0, 240.0)
    kinds: tuple[Literal["a", 1], ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be positive; got {self.width}")


@dataclass(frozen=True)
class Outer:
    """A whole."""

    rate: float
    inner: Inner = Inner()
    name: str | None = None
    fast: bool = False
    either: int | Inner = 0


@dataclass(frozen=True)
class Paired:
    """Pairs."""

    ranges: tuple[tuple[float, float], ...] = ()


outers = st.builds(
    Outer,
    rate=st.floats(allow_nan=False, allow_infinity=False),
    inner=st.builds(
        Inner,
        width=st.integers(1, 10**9),
        window=st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2),
        kinds=st.lists(st.sampled_from(["a", 1])).map(tuple),
    ),
    name=st.none() | st.text(st.characters(exclude_categories=["Cs"])),
    fast=st.booleans(),
    either=st.integers() | st.builds(Inner),
)


@given(outers)
def test_from_json_inverts_to_json(cfg: Outer):
    again = config.from_json(Outer, config.to_json(cfg))
    assert again == cfg
    assert config.fingerprint(again) == config.fingerprint(cfg)


@given(outers, outers)
def test_fingerprints_and_diffs_are_equal_exactly_when_configs_are(a: Outer, b: Outer):
    # The dataclass's own == takes -0.0 for 0.0 and True for 1; a fingerprint does not.
    same = config.to_json(a) == config.to_json(b)
    assert (config.fingerprint(a) == config.fingerprint(b)) == same
    if same:
        assert config.diff(a, b) == []
    if a != b:
        assert config.diff(a, b)


def test_diff_names_the_field_and_both_values():
    a = Outer(0.1)
    b = dataclasses.replace(a, inner=Inner(width=16), name="x")
    assert config.diff(a, b) == ["inner.width: 32 → 16", "name: None → x"]
    assert config.diff(a, dataclasses.replace(a, either=Inner()))[0] == "either: 0 → absent"


@dataclasses.dataclass(frozen=True)
class Switches:
    first: bool = False
    second: bool = True


def test_flags_are_what_a_command_line_needs_to_make_the_config():
    assert config.flags(Inner(), "inner") == []
    changed = Inner(width=16, window=(0.0, 1.5))
    assert config.flags(changed, "inner") == ["--inner.width 16", "--inner.window 0.0 1.5"]
    paired = Paired(((-1.0, 2.0), (0.5, 3.0)))
    assert config.flags(Switches(first=True, second=False), "s") == ["--s.first", "--s.no-second"]
    assert config.flags(paired, "p") == ["--p.ranges -1.0 2.0 0.5 3.0"]


def test_integer_in_a_number_field_is_the_same_number():
    assert config.fingerprint(Outer(1)) == config.fingerprint(Outer(1.0))
    assert type(config.from_json(Outer, '{"rate": 1}').rate) is float


def test_fields_with_defaults_may_be_missing():
    assert config.from_json(Outer, '{"rate": 0.5}') == Outer(0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a JSON file"),
        ("[]", r"the config must be a table of fields; got \[\]"),
        ("{}", "rate is missing"),
        ('{"rate": "x"}', "rate must be a number; got 'x'"),
        ('{"rate": true}', "rate must be a number; got True"),
        ('{"rate": 1, "inner": {"widht": 1}}', "unknown field inner.widht; known are width"),
        ('{"rate": 1, "inner": {"width": 1.5}}', "inner.width must be an integer; got 1.5"),
        ('{"rate": 1, "inner": {"width": 0}}', "width must be positive; got 0"),
        ('{"rate": 1, "inner": {"window": [1]}}', "inner.window must have 2 entries; got 1"),
        ('{"rate": 1, "inner": {"window": [1, "b"]}}', r"inner.window\[1\] must be a number"),
        ('{"rate": 1, "inner": {"window": 1}}', "inner.window must be a list; got 1"),
        ('{"rate": 1, "inner": {"kinds": [true]}}', r"kinds\[0\] must be one of \['a', 1\]"),
        ('{"rate": 1, "name": 3}', "name must be a text; got 3 or name must be null; got 3"),
        ('{"rate": 1, "fast": 1}', "fast must be true or false; got 1"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_path(text: str, message: str):
    with pytest.raises(InputError, match=f"run/config.json: .*{message}"):
        config.from_json(Outer, text, path=Path("run/config.json"))


def test_types_that_json_cannot_hold_are_a_mistake_of_the_config():
    @dataclass(frozen=True)
    class Bad:
        values: Any

    with pytest.raises(TypeError, match=r"values has the type typing.Any"):
        config.to_json(Bad([1]))


def test_values_outside_their_types_are_not_written():
    with pytest.raises(ValueError, match="rate must be a number; got 'fast'"):
        config.to_json(Outer("fast"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not JSON compliant"):
        config.to_json(Outer(float("nan")))


def test_documentation_is_the_literal_below_each_field():
    assert config.documentation(Inner) == {
        "width": "Channels of the first step (Sec. 1)",
        "window": "",
        "kinds": "",
    }


def test_description_has_a_line_for_every_leaf():
    lines = config.describe(Inner())
    assert lines[0].split() == "width = 32 Channels of the first step (Sec. 1)".split()
    assert len(lines) == 3
