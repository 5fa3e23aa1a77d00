"""Every paper's own job, from trained runs to results: what it marks, refuses and goes on with."""

import logging
import shutil
from pathlib import Path

import pytest

from core.commands import results as results_module
from core.lock import only_writer
from tests.contracts.commands import forge
from tests.contracts.systems import refused, results
from tests.disks import make_read_only, orbax_leaves_coroutines, small_disk


def test_every_run_its_step_and_its_fingerprint_are_recorded(system, output):
    written = results(output)
    assert [run["step"] for run in written["runs"]] == [2] * len(system.paper.recipes)
    assert {Path(run["path"]).name for run in written["runs"]} == set(system.paper.recipes)
    assert all(len(run["fingerprint"]) == 12 for run in written["runs"])


def test_cases_that_were_learned_from_are_marked(output):
    parts = [case["part"] for case in results(output)["cases"]]
    assert {"train", "test"} <= set(parts)


def test_held_out_takes_the_others(system, output, tmp_path):
    words = (*system.paper.runs(system.runs), "--held-out", "--out", tmp_path / "out")
    assert system.paper(system.paper.verb, system.data, *words) == 0
    cases = results(tmp_path / "out")["cases"]
    assert {case["part"] for case in cases} == {"test"}
    every = results(output)["cases"]
    assert len(cases) == sum(case["part"] == "test" for case in every)


def test_an_unfinished_run_is_refused_unless_allowed(system, tmp_path, capsys):
    paper, name = system.paper, system.paper.recipes[0]
    forge(system.runs / name, tmp_path / "runs" / name)
    (tmp_path / "runs" / name / "manifest.json").unlink()
    for other in paper.recipes[1:]:
        forge(system.runs / other, tmp_path / "runs" / other)
    words = (paper.verb, *paper.inputs(system.data), *paper.runs(tmp_path / "runs"))
    words = (*words, "--out", tmp_path / "out")
    assert "is not finished" in refused(capsys, paper, *words)
    assert paper(*words, "--allow-unfinished") == 0


def test_runs_of_other_data_are_refused(system, tmp_path, capsys):
    paper = system.paper
    together = paper.together or paper.recipes
    first, *others = [*together, together[0]][:2]
    runs = ["--run", system.runs / first]
    for name in others:
        strange = forge(system.runs / name, tmp_path / name, images={"0": "train"}, train=["z"])
        runs += ["--run", strange]
    for name in set(paper.recipes) - {first, *others}:
        runs += ["--run", system.runs / name]
    words = (paper.verb, *paper.inputs(system.data), *runs, "--out", tmp_path / "out")
    line = refused(capsys, paper, *words)
    assert "other cases" in line or "another data set" in line


def test_a_repeated_call_goes_on(system, output, tmp_path, caplog):
    before = (output / "results.json").read_text()
    words = (*system.paper.runs(system.runs), "--out", output)
    with caplog.at_level(logging.INFO):
        assert system.paper(system.paper.verb, *system.paper.inputs(system.data), *words) == 0
    assert (output / "results.json").read_text() == before
    assert not (output / results_module.UNFINISHED).exists()


@pytest.mark.slow  # works on cases twice
def test_shards_of_a_cohort_make_the_whole(system, tmp_path, capsys):
    paper, outs = system.paper, (tmp_path / "whole", tmp_path / "shards")
    words = (paper.verb, system.data, *paper.runs(system.runs), "--held-out", "--out")
    assert paper(*words, outs[0]) == 0
    for shard in ("1/2", "0/2"):
        assert paper(*words, outs[1], "--shard", shard) == 0
        assert not (outs[1] / "results.json").exists()
    capsys.readouterr()
    assert paper(*words, outs[1]) == 0
    every = results(outs[0])["cases"]
    assert capsys.readouterr().err.count("(of an earlier call)") == len(every)
    timeless = {"seconds": 0, "stage_seconds": 0}
    told = [[case | timeless for case in results(out)["cases"]] for out in outs]
    assert told[0] == told[1]
    assert not list(outs[1].glob(".*"))
    assert "--shard must be K/N" in refused(capsys, paper, *words, outs[1], "--shard", "2/2")


def test_a_folder_that_another_call_writes_is_refused(system, tmp_path, capsys):
    paper, name = system.paper, system.paper.recipes[0]
    training = ("train", name, "--data", system.cache, *paper.train_words(name, system.runs))
    job = (paper.verb, *paper.inputs(system.data), *paper.runs(system.runs))
    with only_writer(tmp_path):
        for words in (training, job):
            assert "is being written" in refused(capsys, paper, *words, "--out", tmp_path)


@pytest.mark.slow  # works on cases four times
@orbax_leaves_coroutines
def test_a_full_or_read_only_disk_is_one_line_and_with_room_it_goes_on(system, tmp_path, capsys):
    paper, name = system.paper, system.paper.recipes[0]
    training = ("train", name, "--data", system.cache, *paper.train_words(name, system.runs))
    job = (paper.verb, system.data, *paper.runs(system.runs), "--held-out")
    with small_disk(tmp_path, 64 << 20) as disk:
        others = disk / "others"
        training, job = (
            (*training, "--resume", "--out", disk / "run"),
            (*job, "--out", disk / "out"),
        )
        for words in (training, job):
            free = shutil.disk_usage(disk).free
            others.write_bytes(bytes(free - (16 << 10)))
            capsys.readouterr()
            assert paper(*words) == 1
            said = capsys.readouterr().err
            assert "no room on the disk; make some, and call again" in said.splitlines()[-1]
            assert "Traceback" not in said
            others.unlink()
            assert paper(*words) == 0
        make_read_only(disk)
        for words in (training, job):
            assert "Read-only file system" in refused(capsys, paper, *words)


def test_a_case_that_goes_wrong_fails_alone(system, tmp_path):
    data = tmp_path / "data"
    system.paper.write(data, 3, 2)
    system.paper.damage(data)
    words = (*system.paper.runs(system.runs), "--out", tmp_path / "out")
    assert system.paper(system.paper.verb, *system.paper.inputs(data), *words) == 1
    statuses = [case["status"] for case in results(tmp_path / "out")["cases"]]
    assert sorted(statuses) == ["done", "failed"]


def test_operating_choices_are_overridden_and_recorded(system, tmp_path):
    flags, recorded = system.paper.choice
    words = (*system.paper.runs(system.runs), "--held-out", "--out", tmp_path / "out", *flags)
    assert system.paper(system.paper.verb, system.data, *words) == 0
    assert results(tmp_path / "out")["choices"] == recorded
