"""`export` of every paper: a file that gives the labels of the command."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from core.infer.load import Run
from s4c.classifier import runs as classifiers
from s4c.classifier.coarse import read_coarse
from tests.contracts import exported
from tests.contracts.commands import S4C_CLASSIFIER
from tests.contracts.systems import refused, results


@pytest.mark.slow  # compiles programs, and calls a script that compiles them again
def test_an_exported_system_gives_the_labels_of_the_command(system, tmp_path, monkeypatch):
    paper = system.paper
    noisy = exported.shaken(Run.weights, *exported.NOISE[paper.name])
    monkeypatch.setattr(Run, "weights", noisy)
    if paper is S4C_CLASSIFIER:  # It tells its coarse run by weights without noise.
        known = read_coarse(system.runs / "tiny-classifier")
        monkeypatch.setattr(classifiers, "coarse_of", lambda run: known)
    runs, model = [system.runs / name for name in paper.recipes], tmp_path / "model.npz"
    assert paper("export", *runs, "--out", model) == 0
    out, inputs = tmp_path / "out", paper.inputs(system.data)
    assert paper(paper.verb, *inputs, *paper.runs(system.runs), *paper.quick, "--out", out) == 0
    packages = exported.packages(tmp_path / "packages")
    for row in results(out)["cases"][:1]:
        scans, written = exported.of_case(paper.name, out, row, system.data)
        label = tmp_path / written.name
        words = [label, *scans] if paper.name == "lnmet" else [*scans, label]
        done = exported.run(paper.name, packages, model, *words)
        assert done.returncode == 0, done.stderr
        exported.assert_same_labels(voxels(written), voxels(label))
        if paper.name != "lnmet":  # segments without a decision
            assert done.stdout.startswith(row["decision"])
        if paper is S4C_CLASSIFIER:
            # Printed with six digits.
            assert float(done.stdout.split()[-1]) == pytest.approx(row["score"], abs=2e-6)


def voxels(path: Path) -> np.ndarray:
    """Of a label map or a mask, as they are stored."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path)) > 0
    return np.asarray(nib.load(path).dataobj)


def test_a_file_of_another_kind_is_refused_by_export(system, tmp_path, capsys):
    runs = [system.runs / name for name in system.paper.recipes[:3]]
    line = refused(capsys, system.paper, "export", *runs, "--out", tmp_path / "model.onnx")
    assert "must end with .npz" in line
    (tmp_path / "model.npz").mkdir()
    line = refused(capsys, system.paper, "export", *runs, "--out", tmp_path / "model.npz")
    assert "is a folder; name a file, such as model.npz" in line


@pytest.mark.slow  # trains a system for this alone
@pytest.mark.parametrize("system", ["s4c-classifier"], indirect=True)
def test_a_classifier_alone_is_refused_by_export(system, tmp_path, capsys):
    alone = system.runs / "tiny-classifier"
    line = refused(capsys, system.paper, "export", alone, "--out", tmp_path / "model.npz")
    assert "answers beside the one run whose features it learned from" in line
