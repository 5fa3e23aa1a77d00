import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import provenance, results, step, suites
from benchmarks.suites import GROUPS, SUITES, Item
from core.json_io import read_json

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys(("pydicom", "nibabel", "grain", "tyro", "monai")))
from importlib import import_module
from benchmarks import __main__, step, suites
items = suites.chosen(["gpu"], "")
for paper in map(step.subject_module, step.PAPERS):
    for name in (name for name, groups in paper.NAMES.items() if "gpu" in groups):
        paper.subject(name, "bfloat16")
import_module("benchmarks.cases.s4c")
for name in ("s4c.networks", "lnmet.networks", "fee.predict_series", "eusdaf.networks"):
    import_module(name)
(kernel,) = (item for item in items if item.title == "conv 3³ 24 × 16³ × 8 → 8")
assert [row["equal"] is not False for row in kernel.measure(1)] == [True, True]
"""


def test_a_gpu_is_measured_without_readers_of_files_and_the_input_pipeline():
    done = subprocess.run([sys.executable, "-c", WITHOUT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def items(monkeypatch):
    """Two items of a suite, of which the second is of no group, and what they measured."""
    done = []

    def measure(title, repeats):
        done.append((title, repeats))
        return [{"name": title, "device": "cpu", "equal": title != "differs"}]

    found = [
        Item(title, "file", lambda n, title=title: measure(title, n), groups)
        for title, groups in {"conv": ("cpu",), "differs": ()}.items()
    ]
    monkeypatch.setattr(suites, "items", lambda suite: found if suite == "kernels" else [])
    return done


def test_every_suite_has_items_and_every_item_a_title_of_its_own():
    for suite in SUITES:
        titles = [item.title for item in suites.items(suite)]
        assert titles
        assert len(titles) == len(set(titles))


def test_a_group_is_made_of_the_items_that_belong_to_it():
    for name, group in GROUPS.items():
        assert all(name in item.groups for item in suites.chosen([name], ""))
        assert {suite for suite in group.suites if suites.chosen([name], "")} <= set(SUITES)


def test_rows_are_written_where_they_are_asked_for(items, tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "abc+changes")
    assert command.main(["--suite", "cpu", "--out", str(tmp_path), "--repeats", "2"]) == 0
    assert items == [("conv", 2)]
    assert (tmp_path / "file.json").is_file()


def test_a_suite_has_items_of_no_group_and_tells_which_differ(items, tmp_path, capsys):
    assert command.main(["--suite", "kernels", "--out", str(tmp_path)]) == 1
    assert [title for title, _ in items] == ["conv", "differs"]
    assert capsys.readouterr().err == "failed: differs differs from its peer\n"


def test_titles_choose(items, capsys):
    assert command.main(["--suite", "kernels", "--only", "con", "--list"]) == 0
    assert capsys.readouterr().out == "file: conv\n"
    assert items == []


def test_nothing_begins_after_its_minutes(items, tmp_path, capsys):
    args = ["--suite", "kernels", "--out", str(tmp_path), "--minutes", "0.00000001"]
    assert command.main(args) == 0
    assert items == []
    assert "not begun after 1e-08 minutes: conv, differs" in capsys.readouterr().err


def test_what_fails_costs_the_others_nothing(tmp_path, capsys):
    def fail(repeats):
        yield {"name": "first row", "device": "cpu"}
        raise MemoryError("too large")

    row = {"name": "b", "device": "cpu"}
    todo = [Item("a", "file", fail), Item("b", "file", lambda repeats: [row])]
    assert command.run(todo, out=tmp_path, repeats=1, minutes=1) == 1
    rows = read_json(tmp_path / "file.json")
    assert [row["name"] for row in rows] == ["first row", "b"]
    assert "MemoryError: too large" in (said := capsys.readouterr().err)
    assert said.endswith("failed: a\n")


def test_results_in_the_repository_are_of_a_commit(items, monkeypatch, capsys):
    monkeypatch.setattr(provenance, "commit", lambda: "0123456789+changes")
    assert command.main(["--suite", "kernels"]) == 2
    assert items == []
    assert capsys.readouterr().err == (
        "the checkout differs from 0123456: commit, or write elsewhere with --out\n"
    )


def test_an_unknown_suite_ends_with_status_2(capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["--suite", "cpu,speed"])
    assert "no such suite: speed" in capsys.readouterr().err


def test_titles_that_choose_nothing_end_with_status_2(items, capsys):
    assert command.main(["--suite", "kernels,step", "--only", "konv"]) == 2
    said = "nothing in kernels,step has 'konv' in its title: see --list\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("number", ["0", "-1", "many"])
def test_no_turns_end_with_status_2(number, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(["--repeats", number])
    assert f"expected a number from 1; got {number}" in capsys.readouterr().err


def test_steps_learn_alike_that_begin_and_fall_alike():
    assert step.learn_alike([1.0, 0.9, 0.8], [1.0, 0.9, 0.82], None)
    assert not step.learn_alike([1.0, 0.9, 0.8], [1.0, 1.0, 1.0], None)
    assert not step.learn_alike([1.0, 0.9, 0.8], [1.1, 1.0, 0.9], None)


def test_a_file_that_is_not_there_has_no_rows():
    assert results.load("nothing") == []
