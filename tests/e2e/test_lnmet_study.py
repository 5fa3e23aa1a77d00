"""LNMet's cross-validation as jobs of a cluster do it: killed, repeated, merged, and then asked."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from core.io import nifti
from lnmet.labels import PDAC
from tests.e2e.program import Program, results

pytestmark = pytest.mark.e2e

lnmet = Program("lnmet")
# Whole scans are segmented: computing takes longer here than compiling.
OPTIMIZED = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
FEW = ("--tiny", "--run.steps", "2", "--split.num-folds", "2")
TOLD = {"organs", "nodes", "identification", "status", "status-no-nodes"}


def finish(*words: object) -> str:
    """Run a command for as long as it takes; what it printed."""
    command = lnmet.command(*words)
    process = subprocess.run(command, env=OPTIMIZED, capture_output=True, text=True, timeout=1800)
    assert process.returncode == 0, process.stderr[-4000:]
    return process.stdout


def kill_after(step: Path, *words: object) -> None:
    """Kill a command once it has done a step."""
    process = subprocess.Popen(lnmet.command(*words), env=OPTIMIZED, stderr=subprocess.DEVNULL)
    while not (step.is_file() and '"done"' in step.read_text()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def metrics_of(out: Path) -> dict:
    return json.loads((out / "merged" / "metrics.json").read_text())


def write_masks(data: Path, out: Path) -> Path:
    """The annotated tumors, as somebody keeps them apart."""
    for path in (data / "labelsTr").iterdir():
        label = nifti.read_label(path)
        nifti.write(out / path.name, label.with_array((label.array == PDAC).astype(np.uint8)))
    return out


def test_a_study_that_was_killed_and_repeated_ends_with_the_same_tables(tmp_path):
    data, other, out = (tmp_path / name for name in ("data", "other", "study"))
    lnmet.done("phantom", data, "--num-cases", 6, "--spacing-mm", 6)
    lnmet.done("phantom", other, "--num-cases", 2, "--seed", 3, "--spacing-mm", 6)
    words = ("study", "--data", data, "--out", out, *FEW)
    assert "nothing is prepared here" in lnmet.refused(*words, "--fold", 0)
    cache = tmp_path / "cache"
    for mm in (2, 3):
        spacing = ("--prepare.spacing-mm", mm, mm, mm)
        lnmet.done("prepare", "--data", data, "--out", cache, *spacing)
    words = (*words, "--cache", cache)
    kill_after(out / "fold_0" / "organs.json", *words, "--fold", 0)
    done = (out / "fold_0" / "organs.json").read_text()
    assert "fold 0: nodes" in lnmet.refused(*words, "--merge")
    for fold in (0, 1):
        finish(*words, "--fold", fold)
    assert (out / "fold_0" / "organs.json").read_text() == done
    assert "tumor + nodes" in finish(*words, "--merge")
    metrics = metrics_of(out)
    # Every patient is held out once, and every network answers about every one.
    networks = ("ResNet3D", "ResNet2D", "DeepTEN", "tumor alone", "tumor + nodes", "CT report")
    num_cases = {row["method"]: row["num_cases"] for row in metrics["status"]["methods"]}
    assert {name: num_cases[name] for name in networks} == dict.fromkeys(networks, 6)
    assert len(metrics["segmentation"]["groups"]) == 2
    assert metrics["identification"]["rows"]

    (out / "fold_1" / "status-no-nodes.json").unlink()
    finish(*words, "--external", other)
    again = metrics_of(out)
    (table,) = again.pop("external").values()
    assert again == {name: value for name, value in metrics.items() if name != "external"}
    assert {row["num_cases"] for row in table["methods"]} == {2}
    assert "Table VII, 1_other" in (out / "merged" / "report.html").read_text()

    runs = [w for k in (0, 1) for n in sorted(TOLD) for w in ("--run", out / f"fold_{k}" / n)]
    masks = write_masks(other, tmp_path / "masks")
    finish("stage", other / "imagesTr", *runs, "--pdac", masks, "--out", tmp_path / "staged")
    staged = results(tmp_path / "staged")
    assert staged["without_network"] == []
    scores = {row["id"]: row["scores"] for row in table["rows"]}
    for case in staged["cases"]:
        assert case["decision"] in ("positive", "negative")
        # Both average the folds; prepared cases have the tumor resampled with all other labels.
        expected = scores[case["id"]]["tumor alone"]
        assert case["scores"]["tumor alone"] == pytest.approx(expected, abs=0.01)
