"""What holds for all commands of a paper together."""

import json
import os
import re
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest

from tests.contracts.commands import COMMANDS
from tests.contracts.systems import index, results


@pytest.mark.parametrize("paper", COMMANDS.values(), ids=COMMANDS.keys())
def test_every_command_of_the_overview_has_help(paper, capsys):
    commands = import_module(f"{paper.name}.cli").COMMANDS
    assert paper.verb in commands
    for name in commands:
        assert paper(name, "--help") == 0
        assert capsys.readouterr().out.startswith(f"usage: {paper.name} {name} ")


@pytest.mark.parametrize(
    "prefix",
    [
        os.fsdecode("患者".encode("gbk")),
        pytest.param("Jose\u0301 ", marks=pytest.mark.slow),  # the whole once more
    ],
)
def test_names_of_any_bytes_and_foreign_files_harm_no_command(system, tmp_path, prefix):
    paper, data, out = system.paper, tmp_path / "data", tmp_path / "out"
    paper.write(data, 4, 2)
    paper.rename(data, prefix)
    for place in paper.inputs(data):
        if place.is_dir():
            (place / os.fsdecode("报告.txt".encode("gbk"))).write_text("text")
    assert paper.prepare("--data", data, "--out", tmp_path / "cache") == 0
    (part,) = index(tmp_path / "cache")["data"].values()
    assert all(Path(file).is_file() for case in part["cases"].values() for file in case["files"])
    words = (*paper.runs(system.runs), "--out", out)
    assert paper(paper.verb, *paper.inputs(data), *words) == 0
    assert {case["status"] for case in results(out)["cases"]} == {"done"}
    links = re.findall(r'href="(cases/[^"]+)"', (out / "report.html").read_text("utf-8"))
    assert len(links) == 2 * paper.has_volumes
    for link in links:
        (out / os.fsdecode(unquote_to_bytes(link))).read_text("utf-8")
    assert paper("evaluate", "--pred", out, "--truth", data, "--out", tmp_path / "eval") == 0
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text("utf-8"))
    assert (len(metrics["rows"]), metrics["summary"]["num_without_truth"]) == (2, 0)
    assert len((tmp_path / "eval" / "rows.csv").read_text("utf-8").splitlines()) == 3
