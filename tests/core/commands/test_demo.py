from pathlib import Path

import pytest

from core.commands.demo import Demo, demo
from core.errors import InputError


def steps(called, fails=()):
    def note(name, value=None):
        def step(*words):
            flat = [p for word in words for p in (word if isinstance(word, list) else [word])]
            called.append((name, [path.name for path in flat]))
            if name in fails:
                raise InputError(f"{name} is wrong")
            return value

        return step

    return Demo(
        phantoms=note("phantoms"),
        prepare=note("prepare"),
        recipes={"small": Path("recipe of small"), "large": Path("recipe of large")},
        train=note("train"),
        predict=note("predict", 1),
        evaluate=note("evaluate"),
    )


def test_all_steps_run_in_order(tmp_path, capsys):
    called = []
    assert demo(steps(called), tmp_path / "out") == 1
    assert [name for name, _ in called] == [
        "phantoms",
        "prepare",
        "train",
        "train",
        "predict",
        "evaluate",
    ]
    assert called[1] == ("prepare", ["train", "prepared"])
    assert sorted(words for name, words in called if name == "train") == [
        [f"recipe of {size}", "prepared", size] for size in ("large", "small")
    ]
    assert called[-1] == ("evaluate", ["predictions", "test", "out"])
    assert str(tmp_path / "out/report.html") in capsys.readouterr().out


def test_a_failing_training_ends_the_demo(tmp_path):
    with pytest.raises(InputError, match="train is wrong"):
        demo(steps([], fails=["train"]), tmp_path / "out")


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(InputError, match="is not empty"):
        demo(steps([]), tmp_path)
