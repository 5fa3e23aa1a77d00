"""A program of several commands: its overview, its recipes, and the call of one of them."""

import inspect
import io
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from core import config
from core.cli.binding import call
from core.cli.failures import explain
from core.errors import InputError

GLOBAL_FLAGS = """With every command: -q prints errors only, --debug shows tracebacks.
Instead of one: --version."""

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
        status, line = explain(error)
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
        return call(command, words, prog)
    recipe = words.pop(0) if words and not words[0].startswith("-") else None
    if recipe is None and {"-h", "--help"} & set(words):
        return call(command, words, f"{prog} RECIPE", recipe=next(iter(recipes.values())))
    if recipe is None or recipe not in recipes:
        problem = f"unknown recipe {recipe!r}" if recipe else "a recipe is missing"
        raise InputError(f"{problem}; known are {', '.join(recipes)}")
    return call(command, words, f"{prog} {recipe}", recipe=recipes[recipe])


def _function(command: Command | Callable[..., Any]) -> Callable[..., Any]:
    return command.function() if isinstance(command, Command) else command


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
