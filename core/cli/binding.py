"""From the words of a command line to the arguments of a function."""

import contextlib
import dataclasses
import inspect
import io
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_type_hints

import tyro

from core import config
from core.cli.flags import Overrides
from core.errors import InputError


def call(command: Callable[..., Any], words: list[str], prog: str, *, recipe: Any = None) -> int:
    """Parse the words as the command's parameters and call it; a wrong word is an InputError."""
    said, bind = io.StringIO(), _binder(command, recipe)
    try:
        with contextlib.redirect_stderr(said):
            values = tyro.cli(bind, args=words, prog=prog, config=(tyro.conf.FlagCreatePairsOff,))
    except SystemExit as error:
        if error.code in (0, None):
            return 0
        raise InputError(_one_line(said.getvalue()), hint=f"see {prog} --help") from None
    for name, parameter in inspect.signature(command).parameters.items():
        is_empty = isinstance(values[name], list | tuple) and not values[name]
        if is_empty and parameter.default is parameter.empty:
            raise InputError(f"{name.upper()} is missing", hint="give at least one")
    status = command(**values)
    return status if isinstance(status, int) else 0


def _binder(command: Callable[..., Any], recipe: Any) -> Callable[..., dict[str, Any]]:
    """A function that looks like the command and returns its arguments.

    With a recipe, `cfg` is optional and its fields are flags without a prefix; a parameter that is
    annotated with `Overrides` has a flag for every field of its sections.
    """
    signature, hints = inspect.signature(command), get_type_hints(command, include_extras=True)
    parameters = {name: p.replace(kind=p.KEYWORD_ONLY) for name, p in signature.parameters.items()}
    given = {name: overrides for name in parameters if (overrides := _overrides(hints[name]))}
    for name, overrides in given.items():
        of_choices = parameters.pop(name)
        for section, cls in overrides.sections.items():
            # A section may be called as another parameter is: `--data.batch` beside `--data`.
            own, optional = f"{name}_{section}", _optional(cls, overrides.whose)
            hints[own] = Annotated[optional, tyro.conf.arg(name=section)]
            parameters[own] = of_choices.replace(name=own, default=optional())

    def bind(**values: Any) -> dict[str, Any]:
        choices = {
            name: _given({s: values.pop(f"{name}_{s}") for s in overrides.sections})
            for name, overrides in given.items()
        }
        return values | choices

    if recipe is not None:
        hints["cfg"] = Annotated[type(recipe), tyro.conf.arg(name="")]
        # Last, so that the command's own flags stand first in the help.
        parameters["cfg"] = parameters.pop("cfg").replace(default=recipe)
    listed = list(parameters.values())
    bind.__signature__ = signature.replace(parameters=listed)  # type: ignore[attr-defined]
    bind.__annotations__, bind.__doc__ = hints, inspect.getdoc(command)
    return bind


def _overrides(hint: Any) -> Overrides | None:
    """What a parameter is annotated with, if with `Overrides`."""
    metadata = getattr(hint, "__metadata__", ())
    return next((item for item in metadata if isinstance(item, Overrides)), None)


def _one_line(box: str) -> str:
    """The library's boxed message on one line, without title and footer."""
    lines = [line.strip("│ ") for line in box.splitlines() if not re.match("[╭╰│] ?─", line)]
    text = re.split("(?:For full|Argument) helptext", " ".join(lines))[0]
    return " ".join(text.split())


def _optional(section: type, whose: str) -> type:
    """Dataclass with the fields and help of another, every default None: nothing is overridden."""
    texts, hints = config.documentation(section), get_type_hints(section)
    fields = [
        (
            f.name,
            Annotated[
                hints[f.name] | None,
                tyro.conf.arg(help=texts[f.name], help_behavior_hint=f"(default: the {whose}'s)"),
            ],
            None,
        )
        for f in dataclasses.fields(section)
    ]
    return dataclasses.make_dataclass(
        section.__name__, fields, frozen=True, namespace={"__doc__": section.__doc__}
    )


def _given(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that were set on the command line: "section.field" → value."""
    return {
        f"{section}.{field.name}": value
        for section, flags in sections.items()
        for field in dataclasses.fields(flags)
        if (value := getattr(flags, field.name)) is not None
    }
