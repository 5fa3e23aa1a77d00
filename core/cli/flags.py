"""How parameters of a command are annotated, where a flag is more than their type and name."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

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
