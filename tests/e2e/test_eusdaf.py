"""EUSDAF as a user runs it: real files in, masks and report out, one line for bad input."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.io.image.mask import read_written_mask
from core.io.image.still import read_image
from tests.e2e.program import Program, leaves, results, steps

pytestmark = pytest.mark.e2e
eusdaf = Program("eusdaf")

# DAF-Net with every part, few channels, and one block where it has three to six. Five epochs of
# eight pictures are ten steps of four.
NETWORK = ["--model.width", 2, "--model.groups", 2, "--model.group-width", 64]
NETWORK += ["--model.blocks", 1, 1, 1, 1, "--model.features", 4, "--prepare.size", 32]
FEW = ["--run.epochs", 5, "--data.batch", 4, *NETWORK]
FEW += ["--run.checkpoint-every", 5, "--run.log-every", 1]
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


class Trained:
    """A phantom data set, its cache, and a network of fold 0 that learned nothing."""

    def __init__(self, root: Path) -> None:
        self.data, self.cache, self.run = root / "phantoms", root / "cache", root / "run"
        self.image = self.data / "images" / "phantom_000_0.png"

    def segment(self, *inputs: object, out: Path, more: tuple = ()):
        """Segment with the network."""
        return eusdaf("segment", *inputs, "--run", self.run, "--out", out, *more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    here = Trained(tmp_path_factory.mktemp("eusdaf"))
    eusdaf.done("phantom", here.data, "--num-cases", 6, "--num-frames", 2, "--seed", 5)
    eusdaf.done("prepare", "--data", here.data, "--out", here.cache, "--prepare.size", 32)
    words = ("--data", here.cache, "--out", here.run, "--fold", 0)
    eusdaf.done("train", "tiny", *words, *FEW)
    return here


def test_a_held_out_fold_is_segmented_and_evaluated(trained: Trained, tmp_path):
    more = ("--held-out", "--probabilities")
    assert trained.segment(trained.data, out=tmp_path / "out", more=more).returncode == 0
    written = results(tmp_path / "out")
    held_out = json.loads((trained.run / "folds.json").read_text())["test"]
    assert [case["id"] for case in written["cases"]] == held_out
    assert {case["status"] for case in written["cases"]} == {"done"}
    assert written["fold"] == 0
    for case in written["cases"]:
        shape = read_image(case["input"]).shape
        read_written_mask(tmp_path / "out" / "cases" / case["id"] / "mask.png", shape=shape)
    words = ("--pred", tmp_path / "out", "--truth", trained.data, "--out", tmp_path / "eval")
    assert "paper, DAF-Net" in eusdaf.done("evaluate", *words)
    metrics = json.loads((tmp_path / "eval" / "metrics.json").read_text())
    measured = {"dsc", "iou", "avd", "hd", "mad", "sensitivity", "specificity", "precision", "auc"}
    assert measured <= set(metrics["summary"])
    assert [row["id"] for row in metrics["rows"]] == held_out
    for folder in ("out", "eval"):
        page = (tmp_path / folder / "report.html").read_text()
        assert "data:image/png;base64," in page
        assert "https://" not in page


def test_a_killed_training_resumes_to_the_same_bits(trained: Trained, tmp_path):
    words = ["train", "tiny", "--data", trained.cache, "--fold", 0, *FEW]
    eusdaf.kill_at(7, tmp_path / "killed", *words)
    eusdaf.done(*words, "--out", tmp_path / "killed", "--resume")
    for a, b in zip(leaves(trained.run), leaves(tmp_path / "killed"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert steps(tmp_path / "killed") == steps(trained.run)


def test_real_breast_ultrasound_comes_back_at_its_own_size(trained: Trained, shared_data, tmp_path):
    images = sorted((shared_data / "busi" / "images").glob("*.png"))[:2]
    assert trained.segment(*images, out=tmp_path).returncode == 0
    for path, case in zip(images, results(tmp_path)["cases"], strict=True):
        mask = read_image(tmp_path / "cases" / case["id"] / "mask.png")
        assert mask.shape == read_image(path).shape


def test_bad_files_among_good_ones_fail_alone(trained: Trained, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    whole = trained.image.read_bytes()
    (folder / "good.png").write_bytes(whole)
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    (folder / "pointer.png").write_text(LFS)
    (folder / "notes.txt").write_text("not a picture")
    process = trained.segment(folder, out=tmp_path / "out")
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    cases = {Path(case["input"]).name: case for case in results(tmp_path / "out")["cases"]}
    assert {n for n, case in cases.items() if case["status"] == "failed"} == {
        "cut.png",
        "text.png",
        "pointer.png",
    }
    assert cases["good.png"]["status"] == "done"
    for name, part in (("cut", "truncated"), ("text", "not a picture"), ("pointer", "git lfs")):
        (line,) = [line for line in process.stderr.splitlines() if f"{name}.png" in line]
        assert part in line
        assert line == cases[f"{name}.png"]["error"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.png", b"not a picture", "not a picture that can be read"),
        ("pointer.png", LFS.encode(), "Git LFS pointer, not the image; run `git lfs pull`"),
        ("pointer.dcm", LFS.encode(), "Git LFS pointer, not the image; run `git lfs pull`"),
        ("empty.png", b"", "the file is empty"),
        ("notes.txt", b"notes", "neither an image, nor DICOM, nor a video"),
    ],
    ids=["text", "pointer", "dicom pointer", "empty", "foreign"],
)
def test_a_file_that_is_no_picture_is_refused_in_one_line(
    trained: Trained, tmp_path, name, content, message
):
    (tmp_path / name).write_bytes(content)
    line = eusdaf.refused(
        "segment", tmp_path / name, "--run", trained.run, "--out", tmp_path / "out"
    )
    assert str(tmp_path / name) in line
    assert message in line
    assert not (tmp_path / "out").exists()


def test_a_call_that_is_wrong_is_refused_in_one_line(trained: Trained, tmp_path):
    out = ("--out", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    for command in (
        ("segment", tmp_path / "empty", "--run", trained.run),
        ("train", "tiny", "--data", tmp_path / "empty"),
        ("prepare", "--data", tmp_path / "empty"),
    ):
        assert f"{tmp_path / 'empty'}: the folder is empty" in eusdaf.refused(*command, *out)
    no_run = ("segment", trained.image, "--run", tmp_path / "empty")
    assert "is no run" in eusdaf.refused(*no_run, *out)
    known = eusdaf.refused("train", "dafnet", "--data", trained.data, *out)
    assert "unknown recipe 'dafnet'; known are daf, daf-32x8d, unet, attention-unet, tiny" in known
    other = eusdaf.refused("train", "tiny", "--data", trained.cache, *out)
    assert "run eusdaf prepare --prepare.size 128" in other
    size = eusdaf.refused("prepare", "--data", trained.data, "--prepare.size", 50, *out)
    assert "must be divisible by 32" in size
    none = eusdaf.refused("phantom", tmp_path / "none", "--num-cases", 0)
    assert "must be positive; got 0" in none
    absent = ("--encoder-weights", tmp_path / "absent.safetensors", *NETWORK)
    call = ("train", "tiny", "--data", trained.cache, *absent)
    assert "absent.safetensors: no such file" in eusdaf.refused(*call, *out)


def test_held_out_needs_a_run_with_a_fold(trained: Trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained.run, run)
    chosen = json.loads((run / "folds.json").read_text())
    everybody = {"fold": None, "train": chosen["train"] + chosen["test"], "test": []}
    (run / "folds.json").write_text(json.dumps(chosen | everybody))
    words = ("segment", trained.data, "--run", run, "--out", tmp_path / "out", "--held-out")
    assert "held no cases out" in eusdaf.refused(*words)


def test_a_mask_of_another_size_is_left_out_and_named(trained: Trained, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(trained.data, data)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(data / "masks" / "phantom_000_0.png")
    process = eusdaf("prepare", "--data", data, "--out", tmp_path / "cache", "--prepare.size", 32)
    assert process.returncode == 1
    (line,) = [text for text in process.stderr.splitlines() if text.startswith("skipped")]
    assert "phantom_000_0" in line
    assert "the mask has 20 × 30 pixels" in line
    (index,) = (tmp_path / "cache").glob("*/index.json")
    (contents,) = json.loads(index.read_text())["data"].values()
    assert len(contents["cases"]) == 11
