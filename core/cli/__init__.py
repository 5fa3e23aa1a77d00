"""From typed functions to a command line: the only room that knows the command-line library.

A command is a function whose parameters become flags; types, defaults and docstring become its
help. It is imported when it is called, so that the overview answers at once. An integer that it
returns is the exit status: 0 all done, 1 some cases failed. `InputError` is 2, an interrupt 130, a
run that SIGTERM ended after it saved 143, each with one line.
"""

from core.cli.failures import user_values
from core.cli.flags import (
    Choices,
    Data,
    External,
    Folders,
    OnePath,
    Overrides,
    Paths,
    Preds,
    RecipeNames,
    Runs,
    Truths,
    Word,
)
from core.cli.program import Command, run

__all__ = [
    "Choices",
    "Command",
    "Data",
    "External",
    "Folders",
    "OnePath",
    "Overrides",
    "Paths",
    "Preds",
    "RecipeNames",
    "Runs",
    "Truths",
    "Word",
    "run",
    "user_values",
]
