"""Frozen dataclasses as JSON and back, refusing what does not fit; fingerprint and difference.

A config is a frozen dataclass of bool, int, float, str, None, Literal, tuples and such dataclasses.
"""

import ast
import dataclasses
import hashlib
import inspect
import json
import textwrap
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from core.errors import InputError

T = TypeVar("T")


def to_json(cfg: Any) -> str:
    """JSON text of a config, one field per line; refuses values that the types do not allow."""
    return json.dumps(_plain(cfg), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(cls: type[T], text: str | bytes, *, path: str | Path | None = None) -> T:
    """Config of type `cls` from `to_json`'s text.

    Args:
      cls: the dataclass.
      text: JSON; fields with a default may be missing.
      path: the file it came from, named in errors.

    Raises:
      InputError: text that is no JSON, an unknown or missing field, a value of the wrong type or
        one that the dataclass itself refuses; names the field, "model.width".
    """
    try:
        return _build(cls, json.loads(text), "")
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a JSON file ({error})", path=path) from error
    except ValueError as error:
        raise InputError(str(error), path=path) from error


def fingerprint(cfg: Any) -> str:
    """Twelve hexadecimal digits that change whenever a field's name or value does."""
    text = json.dumps(_plain(cfg), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def diff(a: Any, b: Any) -> list[str]:
    """One line "field: value in a → value in b" for each field in which two configs differ."""
    left, right = dict(fields(a)), dict(fields(b))
    return [
        f"{name}: {left.get(name, 'absent')} → {right.get(name, 'absent')}"
        for name in left | right
        if left.get(name, "absent") != right.get(name, "absent")
    ]


def flags(cfg: Any, prefix: str) -> list[str]:
    """Flags of a command, "--model.width 16" or "--model.no-bias", for fields off their defaults.

    Args:
      cfg: of a class whose fields all have defaults.
      prefix: its name in the command.
    """
    default = dict(fields(type(cfg)(), f"{prefix}."))
    words = []
    for name, value in fields(cfg, f"{prefix}."):
        if value == default[name]:
            continue
        *sections, field = name.replace("_", "-").split(".")
        if value is False:
            field = f"no-{field}"
        flag = f"--{'.'.join((*sections, field))}"
        words.append(flag if isinstance(value, bool) else " ".join((flag, *_words(value))))
    return words


def _words(value: Any) -> list[str]:
    """A value on the command line; pairs of a tuple follow one another."""
    if isinstance(value, tuple):
        return [word for part in value for word in _words(part)]
    return [str(value)]


def overridden(cfg: T, choices: Mapping[str, Any]) -> T:
    """A config with some fields replaced, as `--section.field value` says.

    Args:
      cfg: the dataclass.
      choices: dotted name of a field, "infer.stride" → value.

    Raises:
      InputError: a value that the dataclass refuses.
    """
    sections: dict[str, dict[str, Any]] = {}
    for name, value in choices.items():
        section, field = name.split(".")
        sections.setdefault(section, {})[field] = value
    # All at once: what is refused by itself may be right beside another.
    names = list(choices)
    try:
        changed = {}
        for section, values in sections.items():
            names = [f"{section}.{field}" for field in values]
            changed[section] = dataclasses.replace(getattr(cfg, section), **values)
        names = list(choices)
        return dataclasses.replace(cfg, **changed)  # type: ignore[type-var]
    except ValueError as error:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in names)
        raise InputError(f"{flags}: {error}") from None


def fields(cfg: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a config in order, as ("model.width", value)."""
    for field in dataclasses.fields(cfg):
        name, value = f"{prefix}{field.name}", getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            yield from fields(value, f"{name}.")
        else:
            yield name, value


def _plain(cfg: Any) -> dict[str, Any]:
    """Nested dicts of a config, through its types: 1 and 1.0 in a float field are the same."""
    return dataclasses.asdict(_build(type(cfg), dataclasses.asdict(cfg), ""))


def _build(hint: Any, value: Any, where: str) -> Any:
    """The value that a type hint makes of a JSON value, or ValueError naming the field."""
    origin, args = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _build_dataclass(hint, value, where)
    if origin in (Union, types.UnionType):
        return _build_union(args, value, where)
    if origin is tuple:
        return _build_tuple(args, value, where)
    if origin is Literal:
        # `True == 1`, so the type is compared as well.
        if any(value == a and type(value) is type(a) for a in args):
            return value
        raise ValueError(f"{where} must be one of {list(args)}; got {value!r}")
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (bool, int, str, type(None)) and type(value) is hint:
        return value
    if hint not in (bool, int, float, str, type(None)):
        raise TypeError(f"{where} has the type {hint}, which a config cannot hold")
    raise ValueError(f"{where} must be {_name(hint)}; got {value!r}")


def _build_dataclass(cls: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'the config'} must be a table of fields; got {value!r}")
    prefix = f"{where}." if where else ""
    hints, known = get_type_hints(cls), {f.name: f for f in dataclasses.fields(cls)}
    if unknown := [f"{prefix}{name}" for name in value if name not in known]:
        raise ValueError(f"unknown field {', '.join(unknown)}; known are {', '.join(known)}")
    for name, field in known.items():
        absent = field.default is field.default_factory is dataclasses.MISSING
        if name not in value and absent:
            raise ValueError(f"{prefix}{name} is missing")
    built = {name: _build(hints[name], v, f"{prefix}{name}") for name, v in value.items()}
    return cls(**built)


def _build_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    errors = []
    for option in options:
        try:
            return _build(option, value, where)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError(" or ".join(errors))


def _build_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where} must be a list; got {value!r}")
    hints = args[:1] * len(value) if args[1:] == (...,) else args
    if len(hints) != len(value):
        raise ValueError(f"{where} must have {len(hints)} entries; got {len(value)}")
    pairs = enumerate(zip(hints, value, strict=True))
    return tuple(_build(hint, v, f"{where}[{i}]") for i, (hint, v) in pairs)


def _name(hint: type) -> str:
    names = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
    return names.get(hint, "null")


def documentation(cls: type) -> dict[str, str]:
    """Docstring below each field of a dataclass, on one line; "" for a field without one."""
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    texts = {}
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    texts[node.target.id] = " ".join(text.split())
                case _:
                    texts[node.target.id] = ""
    return texts


def describe(cfg: Any, prefix: str = "") -> list[str]:
    """One line "model.width = 32    what it is (its address)" for each field of a config."""
    texts, lines = documentation(type(cfg)), []
    for field in dataclasses.fields(cfg):
        name, value = f"{prefix}{field.name}", getattr(cfg, field.name)
        if dataclasses.is_dataclass(value):
            lines += describe(value, f"{name}.")
        else:
            lines.append(f"{f'{name} = {value!r}':40}  {texts[field.name]}")
    return lines
