"""LNMet as a user runs it: two phases in, masks and report out, one line for bad input."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest

from core.io import nifti
from core.phantom.ct.phantom import make
from core.phantom.deformation import deformed, node_centers
from lnmet.registration.config import RegistrationConfig
from lnmet.registration.phases import register_phases
from tests.e2e.program import Program, leaves, results, steps

pytestmark = pytest.mark.e2e

lnmet = Program("lnmet")
COARSE = ("--prepare.spacing-mm", "6", "6", "6")
FEW = (
    *("--run.steps", "2", "--data.batch", "2", "--data.patch", "16", "16", "16"),
    *("--model.features", "2", "2", "2", "2", *COARSE),
)
LONGER = (*FEW, "--run.steps", "20", "--run.checkpoint-every", "5", "--run.log-every", "1")
QUICK = ("--registration.spacing-mm", "6", "--registration.convexadam.iterations", "5")


class Trained(NamedTuple):
    """Phantoms that two networks learned from, and new ones."""

    data: Path
    cache: Path
    new: Path
    runs: tuple[Path, Path]

    def segment(self, *words: object, out: Path):
        """Segment with both networks."""
        runs = [word for run in self.runs for word in ("--run", run)]
        return lnmet("segment", *words, *runs, "--out", out)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    root = tmp_path_factory.mktemp("lnmet")
    data, cache, new = root / "phantoms", root / "cache", root / "new"
    runs = (root / "runs" / "tiny-organs", root / "runs" / "tiny-nodes")
    lnmet.done("phantom", data, "--num-cases", 3, "--seed", 5, "--spacing-mm", 6)
    lnmet.done("phantom", new, "--num-cases", 2, "--seed", 6, "--spacing-mm", 6)
    lnmet.done("prepare", "--data", data, "--out", cache, *COARSE)
    for run, words in zip(runs, (FEW, LONGER), strict=True):
        lnmet.done("train", run.name, "--data", cache, "--out", run, *words)
    return Trained(data, cache, new, runs)


def test_a_phantom_cohort_is_segmented_and_evaluated(trained: Trained, tmp_path):
    process = trained.segment(trained.new / "imagesTr", out=tmp_path / "out")
    assert process.returncode == 0, process.stderr
    cases = results(tmp_path / "out")["cases"]
    assert [case["id"] for case in cases] == ["phantom_000", "phantom_001"]
    words = ("--pred", tmp_path / "out", "--truth", trained.new, "--out", tmp_path / "eval")
    assert "instance F" in lnmet.done("evaluate", *words)
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    assert {"node_dice", "node_instance_f", "pancreas_dsc", "LGA_hd_mm"} <= set(metrics["summary"])
    for folder in ("out", "eval"):
        page = (tmp_path / folder / "report.html").read_text()
        assert "http://" not in page
        assert "https://" not in page


def test_masks_come_back_on_the_venous_grid(trained: Trained, tmp_path):
    """Stored in another orientation, with an arterial phase of another extent."""
    phases = {}
    for channel, name in enumerate(("arterial", "venous")):
        source = trained.new / "imagesTr" / f"phantom_000_{channel:04d}.nii.gz"
        image = nib.load(source)
        turned = image.slicer[::-1, :, : image.shape[2] - 3 * (name == "arterial")]
        phases[name] = tmp_path / f"{name}.nii.gz"
        nib.save(turned, phases[name])
    words = ("--arterial", phases["arterial"], "--venous", phases["venous"], *QUICK)
    process = trained.segment(*words, out=tmp_path / "out")
    assert process.returncode == 0, process.stderr
    (case,) = results(tmp_path / "out")["cases"]
    folder = tmp_path / "out" / "cases" / case["id"]
    written, venous = nib.load(folder / "segmentation.nii.gz"), nib.load(phases["venous"])
    assert written.shape == venous.shape
    np.testing.assert_array_equal(written.affine, venous.affine)
    registration = json.loads((folder / "prediction.json").read_text())["registration"]
    assert registration["method"] == "convexadam"


def test_an_examination_without_a_phase_fails_alone(trained: Trained, tmp_path):
    shutil.copytree(trained.new / "imagesTr", tmp_path / "in")
    (tmp_path / "in" / "phantom_000_0000.nii.gz").unlink()
    process = trained.segment(tmp_path / "in", out=tmp_path / "out")
    assert process.returncode == 1
    failed, done = results(tmp_path / "out")["cases"]
    assert (failed["status"], done["status"]) == ("failed", "done")
    assert "no arterial phase" in failed["error"]


def test_attention_without_organs_is_refused(trained: Trained, tmp_path):
    words = ("segment", trained.new / "imagesTr", "--out", tmp_path / "out")
    assert "needs organs" in lnmet.refused(*words, "--run", trained.runs[1])
    assert not (tmp_path / "out").exists()


def test_known_organs_serve_instead_of_a_network(trained: Trained, tmp_path):
    words = (trained.new / "imagesTr", "--organs", trained.new / "labelsTr")
    words = (*words, "--run", trained.runs[1], "--out", tmp_path / "out")
    lnmet.done("segment", *words)
    truth = nifti.read_label(trained.new / "labelsTr" / "phantom_000.nii.gz").array
    path = tmp_path / "out" / "cases" / "phantom_000" / "segmentation.nii.gz"
    label = nifti.read_label(path).array
    # Ten organs as they are, but for what is taken for a node.
    kept = (label > 0) & (label <= 10)
    np.testing.assert_array_equal(label[kept], truth[kept])


def test_a_data_set_is_registered(tmp_path):
    one = ("--num-cases", 1, "--spacing-mm", 4)
    lnmet.done("phantom", tmp_path / "in", *one, "--breath-mm", 12)
    lnmet.done(
        "register", tmp_path / "in", "--out", tmp_path / "out", "--registration.spacing-mm", 4
    )
    (case,) = results(tmp_path / "out")["cases"]
    assert case["mind_distance_after"] < 0.7 * case["mind_distance_before"]
    assert case["folding_percent"] < 0.1
    lnmet.done("prepare", "--data", tmp_path / "out", "--out", tmp_path / "cache", *COARSE)
    # The same patient, whose two phases lie on each other.
    lnmet.done("phantom", tmp_path / "still", *one)
    name = "imagesTr/phantom_000_0000.nii.gz"
    still, moved, back = (nifti.read(tmp_path / f / name).array for f in ("still", "in", "out"))
    # A breath of three slices brings some to the ends that the other scan does not show.
    inner = slice(6, -6)
    errors = [np.abs(i.astype(float) - still)[inner].mean() for i in (moved, back)]
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("method", ["convexadam", "deeds"])
def test_nodes_of_a_breathing_phantom_are_brought_back(method):
    phantom = make(1001, shape=(72, 104, 128), spacing_mm=(2.0, 2.0, 2.0), tumor_diameter_mm=25.0)
    moved = deformed(phantom, 1001, amplitude_mm=12.0)
    cfg = RegistrationConfig(method=method, both_ways=False)
    found = register_phases(phantom.images["venous"], moved.arterial, cfg)
    at = (slice(None), *np.rint(node_centers(phantom)).astype(int).T)
    before = np.linalg.norm(2.0 * moved.field[at], axis=0).mean()
    after = np.linalg.norm(2.0 * (found.field - moved.field)[at], axis=0).mean()
    assert after < min(before / 3, 2.0)
    assert found.quality["folding_percent"] < 0.1


def test_a_killed_training_resumes_to_the_same_bits(trained: Trained, tmp_path):
    words = ["train", "tiny-nodes", "--data", trained.cache, *LONGER]
    whole, run = trained.runs[1], tmp_path / "killed"
    lnmet.kill_at(7, run, *words)
    lnmet.done(*words, "--out", run, "--resume")
    for a, b in zip(leaves(whole), leaves(run), strict=True):
        np.testing.assert_array_equal(a, b)
    assert steps(run) == steps(whole)
