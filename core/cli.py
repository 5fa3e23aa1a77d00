"""From typed functions to a command line: the only file that knows the command-line library.

A command is a function whose parameters become flags; types, defaults and docstring become its
help. It is imported when it is called, so that the overview answers at once. An integer that it
returns is the exit status: 0 all done, 1 some cases failed. `InputError` is 2, an interrupt 130, a
run that SIGTERM ended after it saved 143, each with one line.
"""

import contextlib
import dataclasses
import errno
import inspect
import io
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

import tyro

from core import config
from core.errors import InputError, PreemptedError, RunError

Recipes = Mapping[str, Any]


class Command(NamedTuple):
    """A command that is imported when it is called.

    Args:
      place: module and function, "s4c.train:train".
      text: its line in the overview.
    """

    place: str
    text: str

    def function(self) -> Callable[..., Any]:
        """The function behind it."""
        module, _, name = self.place.partition(":")
        return getattr(import_module(module), name)


_MANY = "(one or more)"


def _many(name: str, metavar: str) -> Any:
    """Name of a flag that comes once or more, and of its value, in the help."""
    return tyro.conf.arg(name=name, metavar=metavar, help_behavior_hint=_MANY)


Paths = Annotated[
    Sequence[Path],
    tyro.conf.Positional,
    tyro.conf.arg(metavar="PATH…", help_behavior_hint=_MANY),
]
"""One or more paths without a flag: `INPUT…`."""

OnePath = tyro.conf.Positional[Path]
"""One path without a flag."""

Word = tyro.conf.Positional
"""One word without a flag: `Word[Literal["pdac", "pnet"]]`."""

Runs = Annotated[Sequence[Path], tyro.conf.UseAppendAction, _many("run", "RUN")]
"""One or more run folders, each behind its own flag: `--run RUN [--run RUN …]`."""

Preds = Annotated[Sequence[Path], tyro.conf.UseAppendAction, _many("pred", "DIR")]
"""One or more folders of predictions, each behind its own flag: `--pred DIR [--pred DIR …]`."""

Data = Annotated[Sequence[Path], tyro.conf.UseAppendAction, _many("data", "DIR")]
"""One or more data sets, each behind its own flag: `--data DIR [--data DIR …]`."""

Truths = Annotated[Sequence[Path], tyro.conf.UseAppendAction, _many("truth", "DIR")]
"""One or more annotated data sets, each behind its own flag: `--truth DIR [--truth DIR …]`."""


Folders = Annotated[Sequence[Path], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="DIR")]
"""Any number of folders, each behind the parameter's flag."""

RecipeNames = Annotated[
    Sequence[str], tyro.conf.UseAppendAction, tyro.conf.arg(name="recipe", metavar="NAME")
]
"""Recipes, each behind its own flag: `--recipe NAME [--recipe NAME …]`."""

External = Annotated[
    Sequence[Path], tyro.conf.UseAppendAction, tyro.conf.arg(name="external", metavar="DIR")
]
"""Data sets that no run saw, each behind its own flag: `--external DIR [--external DIR …]`."""


class Overrides:
    """Flags that override fields of configs: `Annotated[Choices, Overrides(infer=InferConfig)]`.

    Args:
      sections: dataclasses of operating choices by name.
    """

    def __init__(self, **sections: type) -> None:
        self.sections = sections
        self.whose = "run"
        """What has the values that are not overridden, as the help names it."""

    @classmethod
    def of_recipes(cls, config: type) -> "Overrides":
        """Flags for all fields of a paper's config, whose fields are its sections."""
        hints = get_type_hints(config)
        overrides = cls(**{field.name: hints[field.name] for field in dataclasses.fields(config)})
        overrides.whose = "recipe"
        return overrides


Choices = Mapping[str, Any] | None
"""Values that override those of a config: "infer.threshold" → value."""

FULL_DISK = "make some, and call again: what is finished is kept"
GLOBAL_FLAGS = """With every command: -q prints errors only, --debug shows tracebacks.
Instead of one: --version."""


@contextlib.contextmanager
def user_values() -> Iterator[None]:
    """Around what takes a command's flags as they are: a value it refuses is the user's mistake."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from None


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


def run(
    commands: Mapping[str, Command | Callable[..., Any]],
    *,
    prog: str,
    description: str,
    recipes: Recipes | None = None,
    args: Sequence[str] | None = None,
) -> int:
    """Run one of several commands and return the exit status of the process.

    A command with a parameter `cfg` takes the name of a recipe as its first word, and a flag for
    each field of it: `train pdac-64 --model.width 16`. `recipes [NAME]` prints them.

    Args:
      commands: functions by name.
      prog: name of the program.
      description: first lines of its help.
      recipes: configs by name.
      args: the words after the program's name; by default those of this process.
    """
    words = list(sys.argv[1:] if args is None else args)
    debug, quiet = "--debug" in words, bool({"-q", "--quiet"} & set(words))
    words = [word for word in words if word not in ("--debug", "-q", "--quiet")]
    _set_up(prog, quiet=quiet, debug=debug)
    if recipes is not None:
        commands = {**commands, "recipes": _recipes_command(recipes)}
    try:
        return _dispatch(commands, words, prog, description, recipes or {})
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        status, line = _explain(error)
        if line:
            print(f"{prog}: {line}", file=sys.stderr)
        return status


def _dispatch(
    commands: Mapping[str, Command | Callable[..., Any]],
    words: list[str],
    prog: str,
    description: str,
    recipes: Recipes,
) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview(commands, prog, description))
        return 0 if words else 2
    if words[0] == "--version":
        print(f"panjax {version('panjax')}")
        return 0
    name, *words = words
    if name not in commands:
        raise InputError(f"unknown command {name!r}; known are {', '.join(commands)}")
    command, prog = _function(commands[name]), f"{prog} {name}"
    if "cfg" not in inspect.signature(command).parameters:
        return _call(command, words, prog)
    recipe = words.pop(0) if words and not words[0].startswith("-") else None
    if recipe is None and {"-h", "--help"} & set(words):
        return _call(command, words, f"{prog} RECIPE", recipe=next(iter(recipes.values())))
    if recipe is None or recipe not in recipes:
        problem = f"unknown recipe {recipe!r}" if recipe else "a recipe is missing"
        raise InputError(f"{problem}; known are {', '.join(recipes)}")
    return _call(command, words, f"{prog} {recipe}", recipe=recipes[recipe])


def _call(command: Callable[..., Any], words: list[str], prog: str, *, recipe: Any = None) -> int:
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


def _function(command: Command | Callable[..., Any]) -> Callable[..., Any]:
    return command.function() if isinstance(command, Command) else command


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


def _explain(error: BaseException) -> tuple[int, str]:
    """Exit status and line for what went wrong."""
    match error:
        case InputError():
            return 2, str(error)
        case RunError():
            return 1, str(error)
        case PreemptedError():
            return 128 + signal.SIGTERM, str(error)
        case KeyboardInterrupt():
            return 130, "interrupted"
        case BrokenPipeError():
            # Whoever read our output has left; nothing else may try to write to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1, ""
        case OSError(errno=errno.ENOSPC | errno.EDQUOT, filename=path):
            return 1, f"{path or 'the output'}: no room on the disk; {FULL_DISK}"
        case OSError(filename=str() | Path() as path):
            return 2, f"{path}: {error.strerror}"
        case _:
            text = " ".join(str(error).split())
            return 1, f"{type(error).__name__}: {text}; --debug shows where"


def _overview(
    commands: Mapping[str, Command | Callable[..., Any]], prog: str, description: str
) -> str:
    width = max(map(len, commands))
    lines = [f"  {name:{width}}  {_first_line(command)}" for name, command in commands.items()]
    usage = f"usage: {prog} COMMAND …    ({prog} COMMAND --help says more)"
    return "\n".join([usage, "", inspect.cleandoc(description), "", *lines, "", GLOBAL_FLAGS])


def _first_line(command: Command | Callable[..., Any]) -> str:
    if isinstance(command, Command):
        return command.text
    return (inspect.getdoc(command) or "").partition("\n")[0]


def _recipes_command(recipes: Recipes) -> Callable[..., None]:
    def show(name: tyro.conf.Positional[str] = "") -> None:
        """List the recipes, or print one with every number's address in the paper.

        Args:
          name: the recipe to print.
        """
        if name and name not in recipes:
            raise InputError(f"unknown recipe {name!r}; known are {', '.join(recipes)}")
        print("\n".join(config.describe(recipes[name]) if name else recipes))

    return show


def _set_up(prog: str, *, quiet: bool, debug: bool) -> None:
    """Plain lines on stderr from our own modules; compiled programs kept between processes.

    Orbax logs, with tracebacks, the errors that it also raises, and asyncio those of its futures:
    all are told once, in one line.
    What the terminal cannot show is printed escaped: results are no reason to stop.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    logging.basicConfig(format="%(message)s", level=logging.WARNING, force=True)
    for name in ("core", prog):
        logging.getLogger(name).setLevel(logging.ERROR if quiet else logging.INFO)
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.ERROR if debug else logging.CRITICAL)
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches / "panjax" / "jax"))
