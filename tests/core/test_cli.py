import errno
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import pytest

from core import cli, config
from core.cli.failures import FULL_DISK
from core.errors import InputError, PreemptedError, RunError


@dataclass(frozen=True)
class Model:
    """A network."""

    width: int = 32
    """Channels of the first step (Sec. 2.2)"""
    bias: bool = False
    """Before a norm (Not stated: none)"""

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width must be positive; got {self.width}")


@dataclass(frozen=True)
class Config:
    """A recipe."""

    model: Model = Model()
    """Network (Fig. 2)"""
    weights: tuple[float, ...] = (0.2, 0.4)
    """Of the losses (Table 1)"""


RECIPES = {"large": Config(), "tiny": Config(Model(width=8))}


@pytest.fixture(autouse=True)
def restore_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", os.environ["JAX_COMPILATION_CACHE_DIR"])
    yield
    for name in ("core", "s4c"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def calls() -> list:
    return []


@pytest.fixture
def s4c(calls: list) -> Callable[..., int]:
    def train(
        cfg: Config, *, data: Path, out: Path, fold: int | None = None, resume: bool = False
    ) -> int:
        """Train one network.

        Args:
          cfg: the recipe.
          data: folder of cases.
          out: run folder.
          fold: which fold.
          resume: continue.
        """
        calls.append((cfg, data, out, fold, resume))
        return 0

    def screen(inputs: cli.Paths, *, run: cli.Runs, out: Path) -> int:
        """Screen scans."""
        calls.append((inputs, run, out))
        return 1

    def fail(*, how: str) -> None:
        """Raise."""
        errors = {
            "input": InputError("is empty", path="scan.nii", hint="export it again"),
            "run": RunError("step 7: loss became nan"),
            "interrupt": KeyboardInterrupt(),
            "preempted": PreemptedError("told to end"),
            "disk": OSError(errno.ENOSPC, "No space left on device", "a.json"),
            "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
            "bug": TypeError("a\nb"),
            "file": FileNotFoundError(2, "No such file or directory", "gone.nii"),
        }
        logging.getLogger("core.some.room").info("at work")
        raise errors[how]

    def main(line: str) -> int:
        return cli.run(
            {"train": train, "screen": screen, "fail": fail},
            prog="s4c",
            description="Screening.",
            recipes=RECIPES,
            args=line.split(),
        )

    return main


def test_flags_override_the_fields_of_a_recipe(s4c: Callable, calls: list):
    line = "train tiny --data d --out o --model.bias --weights 0.5 --fold 1 --resume"
    assert s4c(line) == 0
    assert calls == [(Config(Model(8, True), (0.5,)), Path("d"), Path("o"), 1, True)]


def test_recipe_without_flags_is_itself(s4c: Callable, calls: list):
    assert s4c("train large --data d --out o") == 0
    assert calls == [(RECIPES["large"], Path("d"), Path("o"), None, False)]


def test_paths_and_runs_may_be_many_and_the_status_is_the_command_s(s4c: Callable, calls: list):
    assert s4c("screen a b --run x --run y --out o") == 1
    assert calls == [([Path("a"), Path("b")], [Path("x"), Path("y")], Path("o"))]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nix", "unknown command 'nix'; known are train, screen, fail, recipes"),
        ("train", "a recipe is missing; known are large, tiny"),
        ("train nix --data d --out o", "unknown recipe 'nix'; known are large, tiny"),
        ("train tiny --data d", "Missing from s4c train tiny: --out PATH"),
        ("train tiny --data d --out o --model.widht 3", "Unrecognized options: --model.widht"),
        ("train tiny --data d --out o --model.width x", "invalid literal for int"),
        ("train tiny --data d --out o --model.width 0", "width must be positive; got 0"),
        ("screen --run x --out o", "INPUTS is missing; give at least one"),
        ("screen a --out o", "RUN is missing; give at least one"),
        ("recipes nix", "unknown recipe 'nix'; known are large, tiny"),
    ],
)
def test_wrong_call_is_status_2_and_one_line(
    s4c: Callable, calls: list, capsys: pytest.CaptureFixture, line: str, message: str
):
    assert s4c(line) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("s4c: ")
    assert message in printed.err
    assert calls == []


@pytest.mark.parametrize(
    ("how", "status", "line"),
    [
        ("input", 2, "s4c: scan.nii: is empty; export it again"),
        ("run", 1, "s4c: step 7: loss became nan"),
        ("interrupt", 130, "s4c: interrupted"),
        ("preempted", 143, "s4c: told to end"),
        ("disk", 1, f"s4c: a.json: no room on the disk; {FULL_DISK}"),
        ("quota", 1, f"s4c: the output: no room on the disk; {FULL_DISK}"),
        ("bug", 1, "s4c: TypeError: a b; --debug shows where"),
        ("file", 2, "s4c: gone.nii: No such file or directory"),
    ],
)
def test_failure_is_one_line_and_a_traceback_only_with_debug(
    s4c: Callable, capsys: pytest.CaptureFixture, how: str, status: int, line: str
):
    assert s4c(f"fail --how {how} -q") == status
    assert capsys.readouterr().err == f"{line}\n"
    assert s4c(f"--debug fail --how {how}") == status
    err = capsys.readouterr().err
    assert err.startswith("at work\nTraceback")
    assert err.endswith(f"{line}\n")


def test_version_is_that_of_the_package(s4c: Callable, capsys: pytest.CaptureFixture):
    assert s4c("--version") == 0
    assert capsys.readouterr().out == f"panjax {version('panjax')}\n"


def test_overview_lists_every_command(s4c: Callable, capsys: pytest.CaptureFixture):
    assert s4c("--help") == 0
    text = capsys.readouterr().out
    assert "Screening." in text
    assert "train    Train one network." in text
    assert "--debug" in text
    assert s4c("") == 2


@pytest.mark.parametrize("line", ["train --help", "train tiny --help"])
def test_help_of_a_recipe_shows_each_number_s_address(
    s4c: Callable, capsys: pytest.CaptureFixture, line: str
):
    assert s4c(line) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--model.width INT Channels of the first step (Sec. 2.2)" in text
    assert "run folder. (required)" in text


def test_recipes_prints_names_or_every_field(s4c: Callable, capsys: pytest.CaptureFixture):
    assert s4c("recipes") == 0
    assert capsys.readouterr().out == "large\ntiny\n"
    assert s4c("recipes tiny") == 0
    lines = [line.split("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == ["model.width = 8", "model.bias = False", "weights = (0.2, 0.4)"]


def test_compiled_programs_are_kept_in_the_user_s_cache(
    s4c: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    s4c("recipes")
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "panjax" / "jax")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    s4c("recipes")
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "elsewhere"


def test_reader_that_leaves_early_is_no_failure_to_report(tmp_path: Path):
    script = tmp_path / "many.py"
    script.write_text(
        "import sys\nfrom core import cli\n"
        "def many() -> None:\n"
        "    for i in range(100_000): print(i)\n"
        "sys.exit(cli.run({'many': many}, prog='s4c', description=''))\n"
    )
    root = Path(__file__).parents[2]
    command = f"{sys.executable} {script} many | head -1"
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, shell=True, env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_value_that_a_check_refuses_is_the_users_mistake():
    with pytest.raises(InputError, match="width must be positive; got 0"), cli.user_values():
        Model(width=0)
    with cli.user_values():
        assert Model(width=1).width == 1


@pytest.fixture
def overrides():
    given = []

    def screen(*, choices: Annotated[cli.Choices, cli.Overrides(model=Model)] = None) -> None:
        """Screen scans.

        Args:
          choices: override the run's.
        """
        given.append(choices)

    def run(*words: str) -> tuple[int, list]:
        status = cli.run({"screen": screen}, prog="s4c", description="", args=["screen", *words])
        return status, given

    return run


def test_only_fields_that_are_given_override(overrides):
    assert overrides()[1] == [{}]
    assert overrides("--model.width", "4")[1][-1] == {"model.width": 4}
    assert overrides("--model.bias", "False")[1][-1] == {"model.bias": False}


def test_overrides_show_their_addresses_in_help(overrides, capsys):
    assert overrides("--help")[0] == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Channels of the first step (Sec. 2.2) (default: the run's)" in text


def test_fields_of_all_recipes_are_flags_beside_a_parameter_of_a_sections_name(capsys):
    given = []

    @dataclass(frozen=True)
    class Whole:
        data: Model = Model()

    def study(
        data: cli.Data,
        *,
        recipes: cli.RecipeNames = (),
        choices: Annotated[cli.Choices, cli.Overrides.of_recipes(Whole)] = None,
    ) -> None:
        """Study recipes.

        Args:
          data: sets.
          recipes: names.
          choices: override.
        """
        given.append((data, recipes, choices))

    def run(*words: str) -> int:
        return cli.run({"study": study}, prog="s4c", description="", args=["study", *words])

    assert run("--data", "a", "--data", "b", "--recipe", "x", "--data.width", "4") == 0
    assert given == [([Path("a"), Path("b")], ["x"], {"data.width": 4})]
    assert run("--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "(Sec. 2.2) (default: the recipe's)" in text


def test_a_command_is_imported_when_it_is_called(tmp_path, monkeypatch, capsys):
    (tmp_path / "late.py").write_text("def count(*, to: int) -> dict: return {'to': print(to)}\n")
    monkeypatch.syspath_prepend(tmp_path)
    commands = {"count": cli.Command("late:count", "Count.")}
    assert cli.run(commands, prog="s4c", description="", args=["--help"]) == 0
    assert "count  Count." in capsys.readouterr().out
    assert "late" not in sys.modules
    # What is no integer is no exit status.
    assert cli.run(commands, prog="s4c", description="", args=["count", "--to", "3"]) == 0
    assert capsys.readouterr().out == "3\n"


def test_overrides_go_through_the_checks_of_the_config():
    assert config.overridden(Config(), {"model.width": 4}) == Config(Model(width=4))
    with pytest.raises(InputError, match=r"--model\.width: width must be positive; got 0"):
        config.overridden(Config(), {"model.width": 0})


def test_overrides_that_go_together_are_checked_together():
    @dataclass(frozen=True)
    class Run:
        steps: int = 1
        epochs: int = 0

        def __post_init__(self) -> None:
            if (self.steps > 0) is (self.epochs > 0):
                raise ValueError("one of them")

    @dataclass(frozen=True)
    class Recipe:
        run: Run = Run()
        model: Model = Model()

        def __post_init__(self) -> None:
            if self.model.width > self.run.steps + self.run.epochs + 40:
                raise ValueError("too wide")

    both = {"run.steps": 0, "run.epochs": 9}
    assert config.overridden(Recipe(), both | {"model.width": 49}).model.width == 49
    with pytest.raises(InputError, match=r"--run\.steps, --run\.epochs: one of them"):
        config.overridden(Recipe(), {"run.steps": 1, "run.epochs": 1})
    with pytest.raises(InputError, match=r"--run\.steps, --run\.epochs, --model\.width: too wide"):
        config.overridden(Recipe(), both | {"model.width": 50})


def test_what_the_terminal_cannot_show_is_printed_escaped(monkeypatch):
    printed = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", printed)
    commands = {"show": lambda: print(os.fsdecode(b"\xb1"), "0 – 1")}
    assert cli.run(commands, prog="s4c", description="", args=["show"]) == 0
    printed.flush()
    assert printed.buffer.getvalue() == rb"\udcb1 0 \u2013 1" + b"\n"
