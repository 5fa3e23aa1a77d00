"""Segmentation of files: masks at their own size, a row per frame, and failures that stay alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from core.errors import InputError
from core.io.image.mask import read_probability, read_written_mask
from core.postprocess.components import components
from core.preprocess.resize import resize_map
from core.train.run_folder import read_division
from eusdaf.infer import decide, segment
from tests.contracts.commands import forge
from tests.core.io.dicom.pictures import changed, compressed, jpeg
from tests.eusdaf.conftest import SIZE, SMALL

GRAY = np.random.default_rng(0).integers(0, 256, (37, 53), np.uint8)
CLIP_LENGTH = 11
"""More than one batch of frames."""


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    """Two pictures of odd sizes, one in color, and a clip."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(GRAY).save(folder / "odd.png")
    Image.fromarray(np.stack([GRAY.T] * 3, axis=-1)).save(folder / "tall.bmp")
    frames = [Image.fromarray(np.roll(GRAY, n, axis=1)) for n in range(CLIP_LENGTH)]
    frames[0].save(folder / "clip.tif", save_all=True, append_images=frames[1:])
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def segmented(pictures, run, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("segmented")
    assert segment([pictures], [run], out, probabilities=True) == 0
    return out


def test_every_file_has_its_row_and_foreign_ones_a_reason(segmented, run):
    written = results(segmented)
    assert [(case["id"], case["status"]) for case in written["cases"]] == [
        ("clip", "done"),
        ("odd", "done"),
        ("tall", "done"),
    ]
    assert [Path(s["path"]).name for s in written["skipped"]] == ["notes.txt"]
    assert (written["network"], written["size"], written["fold"]) == ("unet", SIZE, 1)
    assert [entry["path"] for entry in written["runs"]] == [str(run)]


@pytest.mark.parametrize(("name", "shape"), [("odd", (37, 53)), ("tall", (53, 37))])
def test_a_mask_has_the_size_of_its_picture_and_follows_its_probabilities(segmented, name, shape):
    folder = segmented / "cases" / name
    probs = read_probability(folder / "probability.png")
    assert probs.shape == (SIZE, SIZE)
    with Image.open(folder / "mask.png") as image:
        assert (image.mode, image.size) == ("L", shape[::-1])
    mask = read_written_mask(folder / "mask.png", shape=shape)
    at_size = resize_map(probs, shape)
    sure = np.abs(at_size - SMALL.infer.threshold) > 1e-4  # 16 bits keep 1e-5
    np.testing.assert_array_equal(mask[sure], (at_size >= SMALL.infer.threshold)[sure])
    (row,) = [case for case in results(segmented)["cases"] if case["id"] == name]
    assert row["score"] == pytest.approx(float(probs.max()), abs=1e-5)
    _, areas = components(mask[None], neighbors=26)
    assert (row["area_px"], row["num_pieces"]) == (areas.max(initial=0), len(areas))
    assert row["decision"] == ("lesion" if mask.any() else "no lesion")
    assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")


def test_a_clip_has_a_row_a_mask_and_a_map_for_each_frame(segmented):
    folder = segmented / "cases" / "clip"
    prediction = json.loads((folder / "prediction.json").read_text())
    assert [row["frame"] for row in prediction["frames"]] == list(range(CLIP_LENGTH))
    for kind in ("mask", "probability"):
        names = sorted(path.name for path in folder.glob(f"{kind}-*.png"))
        assert names == [f"{kind}-{n:05d}.png" for n in range(CLIP_LENGTH)]
    (row,) = [case for case in results(segmented)["cases"] if case["id"] == "clip"]
    areas = [frame["area_px"] for frame in prediction["frames"]]
    assert row["num_frames"] == CLIP_LENGTH
    assert row["num_frames_with_lesion"] == sum(area > 0 for area in areas)
    assert row["area_px"] == max(areas)
    assert row["score"] == max(frame["score"] for frame in prediction["frames"])
    assert row["num_pieces"] in [f["num_pieces"] for f in prediction["frames"]]


@pytest.mark.parametrize(
    ("num_with_lesion", "num_frames", "fraction", "decision"),
    [
        (1, 1, 0.05, "lesion"),
        (0, 1, 0.05, "no lesion"),
        (1, 20, 0.05, "lesion"),
        (1, 21, 0.05, "no lesion"),
        (7, 100, 0.07, "lesion"),
        (0, 9, 0.0, "no lesion"),
        (1, 9, 0.0, "lesion"),
    ],
)
def test_a_clip_shows_a_lesion_if_a_share_of_its_frames_does(
    num_with_lesion, num_frames, fraction, decision
):
    assert decide(num_with_lesion, num_frames, fraction) == decision


def test_the_rule_for_clips_is_a_choice_that_is_recorded(pictures, run, tmp_path, monkeypatch):
    def one_frame_in_eleven(pictures):
        # Batches hold one frame: the fourth has all of its pixels in two pieces.
        calls.append(len(pictures))
        probs = np.zeros(pictures.shape, np.float32)
        if len(calls) == 4:
            probs[:, :8], probs[:, 20:24] = 1.0, 1.0
        return probs

    monkeypatch.setattr("eusdaf.networks.network", lambda *args: one_frame_in_eleven)
    for fraction, decision in ((0.05, "lesion"), (0.5, "no lesion")):
        calls, choices = [], {"infer.clip_fraction": fraction}
        out = tmp_path / str(fraction)
        assert segment([pictures / "clip.tif"], [run], out, choices=choices) == 0
        written = results(out)
        assert written["choices"] == choices
        (row,) = written["cases"]
        assert (row["decision"], row["num_frames_with_lesion"]) == (decision, 1)
        assert row["num_pieces"] == 2
        page = (out / "report.html").read_text()
        assert "in the largest of 2 pieces; largest lesion of 1 in 11 frames" in page


def test_a_file_that_a_run_learned_from_is_marked(cohort, run, tmp_path):
    division = read_division(run)
    copy = tmp_path / "renamed.png"
    shutil.copy(cohort / "images" / f"{division.train[0]}.png", copy)
    assert segment([copy], [run], tmp_path / "out") == 0
    assert results(tmp_path / "out")["cases"][0]["part"] == "train"


def test_probability_maps_are_written_on_request(pictures, run, tmp_path):
    assert segment([pictures / "odd.png"], [run], tmp_path) == 0
    assert {path.name for path in (tmp_path / "cases" / "odd").iterdir()} == {
        "mask.png",
        "overlay.png",
        "prediction.json",
    }


def test_the_page_shows_every_picture(segmented):
    page = (segmented / "report.html").read_text()
    for name in ("odd", "tall", "clip", "notes.txt"):
        assert name in page
    assert "U-Net. For research only." in page
    assert "axes, px" in page
    # Nothing is known in millimeters, and nothing failed.
    for absent in ("axes, mm", ">error<", "http://", "https://"):
        assert absent not in page


def test_one_bad_file_fails_alone(pictures, run, tmp_path, caplog):
    folder = tmp_path / "in"
    shutil.copytree(pictures, folder)
    whole = (folder / "odd.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    (folder / "clip.tif").unlink()
    assert segment([folder], [run], tmp_path / "out") == 1
    cases = {case["id"]: case for case in results(tmp_path / "out")["cases"]}
    assert {id_: case["status"] for id_, case in cases.items()} == {
        "text": "failed",
        "cut": "failed",
        "odd": "done",
        "tall": "done",
    }
    assert "truncated or damaged" in cases["cut"]["error"]
    assert "not a picture that can be read" in cases["text"]["error"]
    for id_ in ("cut", "text"):
        assert cases[id_]["error"] in caplog.messages
        assert "\n" not in cases[id_]["error"]
    assert not (tmp_path / "out" / "cases" / "cut").exists()


def test_held_out_takes_the_pictures_that_the_fold_did_not_train_on(cohort, run, tmp_path):
    assert segment([cohort], [run], tmp_path, held_out=True) == 0
    written = results(tmp_path)
    assert written["fold"] == 1
    assert tuple(case["id"] for case in written["cases"]) == read_division(run).test
    assert {case["part"] for case in written["cases"]} == {"test"}


def test_held_out_needs_each_picture_once(cohort, run, tmp_path):
    with pytest.raises(InputError, match=r"has a case .*, and so has a data set before it"):
        segment([cohort, cohort], [run], tmp_path / "out", held_out=True)
    other = tmp_path / "other"
    shutil.copytree(cohort, other)
    missing = read_division(run).test[0]
    (other / "images" / f"{missing}.png").unlink()
    with pytest.raises(InputError, match=f"{missing} is not there") as refusal:
        segment([other], [run], tmp_path / "out", held_out=True)
    assert refusal.value.path == other
    assert not (tmp_path / "out").exists()


def test_held_out_needs_runs_of_one_fold_that_held_something_out(cohort, run, tmp_path):
    other = forge(run, tmp_path / "other", fold=2)
    with pytest.raises(InputError, match=r"is of fold 2, .* of fold 1"):
        segment([cohort], [run, other], tmp_path / "out", held_out=True)
    everybody = forge(run, tmp_path / "everybody", test=[])
    with pytest.raises(InputError, match="held no cases out"):
        segment([cohort], [everybody], tmp_path / "out", held_out=True)


def test_a_file_without_a_picture_fails(pictures, run, tmp_path, monkeypatch):
    monkeypatch.setattr("eusdaf.infer.read_frames", lambda source: iter(()))
    assert segment([pictures / "odd.png"], [run], tmp_path) == 1
    assert "holds no picture" in results(tmp_path)["cases"][0]["error"]


def test_nothing_to_segment_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="the folder is empty"):
        segment([tmp_path / "empty"], [run], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def all_lesion(pictures):
    """A network that finds a lesion in the upper left quarter of every picture."""
    probs = np.zeros(pictures.shape, np.float32)
    probs[:, : SIZE // 2, : SIZE // 2] = 1.0
    return probs


@pytest.fixture
def sure(monkeypatch):
    monkeypatch.setattr("eusdaf.networks.network", lambda *args: all_lesion)


def save_frames(path, arrays):
    frames = [Image.fromarray(array) for array in arrays]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize("array", [np.zeros_like(GRAY), np.full_like(GRAY, 90)])
@pytest.mark.parametrize("ending", ["png", "tif", "jpg"])
def test_a_picture_that_shows_nothing_fails(sure, run, tmp_path, array, ending):
    Image.fromarray(array).save(tmp_path / f"a.{ending}")
    assert segment([tmp_path / f"a.{ending}"], [run], tmp_path / "out") == 1
    (case,) = results(tmp_path / "out")["cases"]
    assert f"shows nothing: all of it is gray {array[0, 0]}" in case["error"]


def test_frames_that_show_nothing_are_told_and_do_not_decide(sure, run, tmp_path):
    black = np.zeros_like(GRAY)
    path = save_frames(tmp_path / "a.tif", [GRAY, black, GRAY[::-1], black])
    assert segment([path], [run], tmp_path / "out") == 0
    (case,) = results(tmp_path / "out")["cases"]
    assert (case["decision"], case["num_frames"]) == ("lesion", 4)
    assert (case["num_frames_without_picture"], case["num_frames_with_lesion"]) == (2, 2)
    told = f"{path}: 2 of 4 frames show nothing and are left out: 1, 3"
    assert case["remarks"] == [told]
    assert told in (tmp_path / "out" / "report.html").read_text()
    names = sorted(p.name for p in (tmp_path / "out" / "cases" / "a").glob("mask*"))
    assert names == ["mask-00000.png", "mask-00002.png"]
    frames = json.loads((tmp_path / "out" / "cases" / "a" / "prediction.json").read_text())[
        "frames"
    ]
    assert [frame["score"] for frame in frames] == [1.0, None, 1.0, None]


def test_a_clip_that_shows_nothing_at_all_fails(sure, run, tmp_path):
    path = save_frames(tmp_path / "a.tif", [np.zeros_like(GRAY)] * 3)
    assert segment([path], [run], tmp_path / "out") == 1
    assert "in any of its 3 frames" in results(tmp_path / "out")["cases"][0]["error"]


def test_what_was_made_of_a_clip_that_fails_is_removed_and_this_is_told(sure, run, tmp_path):
    frames = [np.stack([np.roll(GRAY, n)] * 3, axis=-1) for n in range(3)]
    streams = [jpeg(frame) for frame in frames]
    ybr = {"PhotometricInterpretation": "YBR_FULL_422"}
    path = compressed(tmp_path / "a.dcm", frames, streams, **ybr)
    out = tmp_path / "out"
    assert segment([path], [run], out, probabilities=True) == 0
    assert len(list((out / "cases" / "a").glob("mask-*"))) == 3
    compressed(path, frames, [*streams[:2], b"\xff\xd8 no picture"], **ybr)
    assert segment([path], [run], out, probabilities=True) == 1
    (case,) = results(out)["cases"]
    assert case["error"] == (
        f"{path}: its pixels cannot be decoded (RuntimeError); fetch the file again; "
        "the masks of its first 2 frames are removed"
    )
    assert not (out / "cases" / "a").exists()


def test_masks_of_a_longer_clip_do_not_stay(sure, run, tmp_path):
    out = tmp_path / "out"
    for num in (3, 2):
        path = save_frames(tmp_path / "a.tif", [np.roll(GRAY, n) for n in range(num)])
        assert segment([path], [run], out) == 0
        assert len(list((out / "cases" / "a").glob("mask-*"))) == num


def region(rows, columns, mm):
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionLocationMinY0, item.RegionLocationMaxY1 = rows
    item.RegionLocationMinX0, item.RegionLocationMaxX1 = columns
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = mm / 10
    return item


@pytest.mark.parametrize(
    ("edge", "mm", "scale"),
    [
        (44, 0.5, "of ultrasound region 1 of 2"),
        (8, None, "none: the lesion lies in ultrasound regions of different scale"),
    ],
)
def test_a_lesion_is_measured_by_the_region_under_it(sure, run, tmp_path, edge, mm, scale):
    # The lesion is the upper left quarter; the second region is the larger one.
    regions = [region((0, 31), (0, edge - 1), 0.5), region((0, 63), (edge, 79), 2.0)]
    array = np.random.default_rng(0).integers(0, 256, (64, 80), np.uint8)
    path = changed(tmp_path / "a.dcm", [array], SequenceOfUltrasoundRegions=regions)
    out = tmp_path / "out"
    assert segment([path], [run], out) == 0
    (case,) = results(out)["cases"]
    assert case["scale"] == scale
    area = None if mm is None else case["area_px"] * mm**2
    assert case["area_mm2"] == (None if area is None else pytest.approx(area))
    told = f"{path}: its lesion has no size in mm; scale {scale}"
    assert case["remarks"] == ([] if mm else [told])
    assert scale in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("ultrasound_black_picture/pal.dcm", 0, "nearly shows nothing"),
        ("ultrasound_black_picture/pal_8in16.dcm", 0, "of which 8 are used"),
        ("ultrasound_black_picture/m8.dcm", 0, ""),
        ("ultrasound_black_picture/m16_8used.dcm", 0, "of which 8 are used"),
        ("ultrasound_jpeg_tagged_rgb/clip.dcm", 0, "its JPEG is YCbCr"),
        ("clip_with_fewer_frames_than_promised/clip.dcm", 1, "holds 2 of 12 frames"),
    ],
)
def test_field_cases_end_as_they_should(sure, run, tmp_path, shared_data, name, status, told):
    path = shared_data / "field_cases" / name
    assert segment([path], [run], tmp_path) == status
    (case,) = results(tmp_path)["cases"]
    assert told in case.get("error", "") + "".join(case["remarks"])
    assert bool(told) == bool(case.get("error") or case["remarks"])
