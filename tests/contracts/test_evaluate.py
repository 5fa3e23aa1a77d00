"""`evaluate` of every paper: what is counted, left out and refused."""

import json

from tests.contracts.systems import refused, results


def test_evaluate_marks_what_was_learned_from_and_leaves_it_out(system, output, tmp_path):
    words = ("--pred", output, "--truth", system.data, "--out", tmp_path / "eval")
    assert system.paper("evaluate", *words) == 0
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    parts = [row["part"] for row in metrics["rows"]]
    summary = metrics["summary"]
    assert summary["num_seen"] == sum(part in ("train", "val") for part in parts) > 0
    assert summary["num_cases"] == len(parts) - summary["num_seen"]
    assert "train" in summary["seen"]


def test_evaluate_refuses_a_fold_twice_and_another_network_of_the_name(
    system, output, tmp_path, capsys
):
    written = results(output)
    copies = []
    for name, change in {
        "fold": {"fold": 0},
        "again": {"fold": 0},
        "network": {"fold": 1, "runs": [{**run, "fingerprint": "x"} for run in written["runs"]]},
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(written | change))
        copies.append(folder)
    words = ("--truth", system.data, "--out", tmp_path / "eval")
    first, again, network = (("--pred", copy) for copy in copies)
    assert "is of fold 0, and so is" in refused(
        capsys, system.paper, "evaluate", *first, *again, *words
    )
    assert "is by another network" in refused(
        capsys, system.paper, "evaluate", *first, *network, *words
    )


def test_evaluate_counts_failed_cases_both_ways(system, output, tmp_path):
    written = results(output)
    case = next(case for case in written["cases"] if case["part"] == "test")
    case.update(status="failed", error="out of memory")
    (tmp_path / "pred").mkdir()
    (tmp_path / "pred" / "results.json").write_text(json.dumps(written))
    (tmp_path / "pred" / "cases").symlink_to(output / "cases")
    words = ("--pred", tmp_path / "pred", "--truth", system.data, "--out", tmp_path / "eval")
    assert system.paper("evaluate", *words) == 0
    summary = json.loads((tmp_path / "eval" / "metrics.json").read_text())["summary"]
    assert summary["num_failed"] == 1
    with_failed = summary["failed_as_errors"]
    num_done, num = (sum(s[name] for name in system.paper.counts) for s in (summary, with_failed))
    assert num == num_done + 1


def test_evaluate_of_nothing_in_common_is_refused(system, output, tmp_path, capsys):
    other = tmp_path / "other"
    system.paper.write(other, 9, 2)
    system.paper.rename(other, "x")
    words = ("--pred", output, "--truth", other, "--out", tmp_path / "eval")
    assert "none of" in refused(capsys, system.paper, "evaluate", *words)
