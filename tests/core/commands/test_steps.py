"""Steps are done once, in order, whatever happens in between."""

import json
from pathlib import Path

import pytest

from core import json_io
from core.commands.steps import LeftOut, Step, left_out, read_steps, run_steps
from tests.refusals import refused


class Killed(BaseException):
    """As an interrupt is."""


def chain(done: list[str], **changes) -> list[Step]:
    """a, then b of what a wrote, then c of b; each tells that it ran."""

    def step(name: str, before: str | None) -> Step:
        def run(folder: Path) -> None:
            done.append(name)
            read = (folder.parent / before / "text").read_text() if before else ""
            (folder / "text").write_text(read + name)

        return Step(name, run, needs=[before] if before else [])._replace(**changes.get(name, {}))

    return [step("a", None), step("b", "a"), step("c", "b")]


def raising(error: BaseException):
    def run(folder: Path) -> None:
        (folder / "part").touch()
        raise error

    return run


def test_steps_that_ended_are_not_done_again(tmp_path):
    done: list[str] = []
    first = run_steps(tmp_path, chain(done), "x")
    assert run_steps(tmp_path, chain(done), "x") == first == read_steps(tmp_path, chain(done), "x")
    assert done == ["a", "b", "c"]
    assert (tmp_path / "c" / "text").read_text() == "abc"
    assert {r.status for r in first.values()} == {"done"}


def test_another_dependency_does_all_steps_anew_and_keeps_nothing(tmp_path):
    done: list[str] = []
    run_steps(tmp_path, chain(done), "x")
    (tmp_path / "a" / "old").touch()
    assert read_steps(tmp_path, chain(done), "y") == {}
    run_steps(tmp_path, chain(done), "y")
    assert done == ["a", "b", "c"] * 2
    assert not (tmp_path / "a" / "old").exists()


def test_other_inputs_do_a_step_and_what_depends_on_it_anew(tmp_path):
    done: list[str] = []
    run_steps(tmp_path, chain(done), "x")
    changed = chain(done, b={"inputs": {"data": Path("d")}})
    assert read_steps(tmp_path, changed, "x").keys() == {"a"}
    run_steps(tmp_path, changed, "x")
    assert done == ["a", "b", "c", "b", "c"]


@pytest.mark.parametrize("removed", ["b.json", "b"])
def test_a_step_that_was_removed_is_done_again_and_what_depends_on_it(tmp_path, removed):
    done: list[str] = []
    run_steps(tmp_path, chain(done), "x")
    (tmp_path / removed).rename(tmp_path / "elsewhere")
    run_steps(tmp_path, chain(done), "x")
    assert done == ["a", "b", "c", "b", "c"]


def test_a_step_that_was_killed_finds_its_folder_again(tmp_path):
    done: list[str] = []
    with pytest.raises(Killed):
        run_steps(tmp_path, chain(done, b={"run": raising(Killed())}), "x")
    assert read_steps(tmp_path, chain(done), "x").keys() == {"a"}
    run_steps(tmp_path, chain(done), "x")
    assert done == ["a", "b", "c"]
    assert (tmp_path / "b" / "part").exists()


def test_a_step_that_was_killed_before_its_inputs_changed_finds_no_folder(tmp_path):
    done: list[str] = []
    with pytest.raises(Killed):
        run_steps(tmp_path, chain(done, b={"run": raising(Killed())}), "x")
    run_steps(tmp_path, chain(done, b={"inputs": 2}), "x")
    assert not (tmp_path / "b" / "part").exists()


def test_what_is_left_out_is_told_and_so_is_what_needs_it(tmp_path, caplog):
    done: list[str] = []
    steps = chain(done, b={"run": raising(LeftOut("no labels"))})
    uses = Step("d", lambda folder: done.append("d"), uses=["b"])
    records = run_steps(tmp_path, [*steps, uses], "x")
    assert left_out(records) == {"b": "no labels", "c": "b is left out: no labels"}
    assert done == ["a", "d"]
    assert not (tmp_path / "b").exists()
    assert json.loads((tmp_path / "b.json").read_text())["reason"] == "no labels"
    assert read_steps(tmp_path, [*steps, uses], "x") == records
    assert f"{tmp_path / 'b'} is left out: no labels" in caplog.text


def test_what_was_left_out_is_tried_again_and_those_that_use_it_follow(tmp_path):
    done: list[str] = []
    uses = Step("d", lambda folder: done.append("d"), uses=["b"])
    without = chain(done, b={"run": raising(LeftOut("not installed"))})
    run_steps(tmp_path, [*without, uses], "x")
    run_steps(tmp_path, [*without, uses], "x")
    assert done == ["a", "d"]
    assert left_out(run_steps(tmp_path, [*chain(done), uses], "x")) == {}
    assert done == ["a", "d", "b", "c", "d"]


def test_killed_before_or_after_any_write_the_steps_end_alike(tmp_path, monkeypatch):
    write, num_points, die = json_io.write_json, 0, 0

    def point() -> None:
        nonlocal num_points
        num_points += 1
        if num_points == die:
            raise Killed

    def write_or_die(path, value) -> None:
        point()
        write(path, value)
        point()

    def mortal(step: Step) -> Step:
        def run(folder: Path) -> None:
            point()
            step.run(folder)
            point()

        return step._replace(run=run)

    monkeypatch.setattr(json_io, "write_json", write_or_die)
    # Three steps of two records and a file.
    for die in range(1, 19):
        folder, num_points = tmp_path / str(die), 0
        with pytest.raises(Killed):
            run_steps(folder, [mortal(step) for step in chain([])], "x")
        assert run_steps(folder, chain([]), "x").keys() == {"a", "b", "c"}
        assert [(folder / n / "text").read_text() for n in "abc"] == ["a", "ab", "abc"]


def test_a_file_that_is_no_record_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a.json").write_text('{"done": true}')
    with refused(tmp_path / "a.json", "is no record of a step", hint="remove it"):
        run_steps(tmp_path, chain([]), "x")


def test_steps_in_a_wrong_order_or_of_one_name_are_refused(tmp_path):
    a, b, c = chain([])
    with pytest.raises(ValueError, match="step b comes before a"):
        run_steps(tmp_path, [b, a, c], "x")
    with pytest.raises(ValueError, match="two steps are called a"):
        run_steps(tmp_path, [a, a], "x")
