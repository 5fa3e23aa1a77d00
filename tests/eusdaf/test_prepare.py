"""From the files of a data set to prepared pictures: what is stored, skipped and kept together."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import fingerprint
from core.data.cache import open_case
from core.errors import InputError
from eusdaf.config import PrepareConfig, SplitConfig
from eusdaf.data import Prepared
from eusdaf.prepare import folds, load, prepare

CFG = PrepareConfig(size=32)
RNG = np.random.default_rng(0)
PICTURES = {"a": RNG.integers(0, 256, (40, 60), np.uint8), "b": RNG.integers(0, 256, (32, 32, 3))}
LESION = {"a": (slice(10, 30), slice(15, 45)), "b": (slice(0, 0), slice(0, 0))}


def save(array, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)


def mask(name: str) -> np.ndarray:
    array = np.zeros(PICTURES[name].shape[:2], np.uint8)
    array[LESION[name]] = 255
    return array


def folders(root: Path) -> None:
    """images/a.png beside masks/a.png."""
    for name, picture in PICTURES.items():
        save(picture, root / "images" / f"{name}.png")
        save(mask(name), root / "masks" / f"{name}.png")


def suffixes(root: Path) -> None:
    """BUSI: a folder per class; of the lesion of a, two masks hold a half each."""
    save(PICTURES["a"], root / "benign" / "a.png")
    for suffix, rows in (("_mask", slice(0, 20)), ("_mask_1", slice(20, 40))):
        part = np.zeros_like(mask("a"))
        part[rows] = mask("a")[rows]
        save(part, root / "benign" / f"a{suffix}.png")
    save(PICTURES["b"], root / "normal" / "b.png")
    save(mask("b"), root / "normal" / "b_mask.png")


@pytest.fixture(params=[folders, suffixes], ids=["folders", "suffixes"])
def data(request, tmp_path):
    request.param(tmp_path / "data")
    return tmp_path / "data"


def index(folder: Path) -> dict:
    return json.loads((folder / "index.json").read_text())


def test_pictures_are_gray_and_of_one_size_and_masks_0_and_1(data, tmp_path):
    prepare(data, tmp_path / "cache", CFG)
    a, b = load(tmp_path / "cache", CFG, tmp_path)
    assert [(c.id, c.has_lesion) for c in (a, b)] == [("a", True), ("b", False)]
    for case in (a, b):
        assert (case.image.shape, case.image.dtype) == ((32, 32), np.uint8)
        assert (case.mask.shape, case.mask.dtype) == ((32, 32), np.uint8)
    # Rows 10 … 30 of 40 and columns 15 … 45 of 60, at 32 × 32: both 8 … 24.
    expected = np.zeros((32, 32), np.uint8)
    expected[8:24, 8:24] = 1
    np.testing.assert_array_equal(a.mask[...], expected)
    assert not b.mask[...].any()
    # A picture that has the size already keeps its pixels: luma of its colors, rounded.
    luma = PICTURES["b"] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(b.image[...], luma, atol=1)


def test_what_is_odd_about_a_mask_is_noted(data, tmp_path):
    path = next(iter(data.rglob("masks/b.png")), data / "normal" / "b_mask.png")
    save(np.full((32, 32), 255), path)
    folder = prepare(data, tmp_path / "cache", CFG)
    (note,) = open_case(folder, "b").meta["notes"]
    assert "marks 100% of the image; is it inverted?" in note


def test_a_bad_case_is_skipped_and_named(data, tmp_path):
    path = next(iter(data.rglob("a.png")))
    path.write_bytes(path.read_bytes()[:300])
    folder = prepare(data, tmp_path / "cache", CFG)
    assert list(index(folder)["used"]) == ["b"]
    assert "truncated" in index(folder)["skipped"][0]["reason"]


def test_a_mask_of_another_size_is_skipped_with_both_sizes(tmp_path):
    folders(tmp_path / "data")
    save(np.zeros((20, 30)), tmp_path / "data" / "masks" / "a.png")
    folder = prepare(tmp_path / "data", tmp_path / "cache", CFG)
    (skipped,) = index(folder)["skipped"]
    assert skipped["path"].endswith("masks/a.png")
    assert (
        "the mask has 20 × 30 pixels (rows × columns) and its image a.png 40 × 60"
        in (skipped["reason"])
    )


def test_a_data_set_is_prepared_into_the_run_folder(data, tmp_path):
    assert [case.id for case in load(data, CFG, tmp_path / "run")] == ["a", "b"]
    assert (tmp_path / "run" / "prepared" / fingerprint(CFG)).is_dir()


def test_nothing_usable_is_refused_with_the_first_reason(tmp_path):
    folders(tmp_path / "data")
    for path in (tmp_path / "data" / "images").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="has no usable picture; the picture is truncated"):
        prepare(tmp_path / "data", tmp_path / "cache", CFG)


def test_a_cache_of_another_size_is_refused(data, tmp_path):
    prepare(data, tmp_path / "cache", CFG)
    with pytest.raises(InputError, match=r"prepared at 64 × 64; run eusdaf prepare --size 64"):
        load(tmp_path / "cache", PrepareConfig(size=64), tmp_path)


def test_patients_of_the_table_are_kept(cohort, tmp_path):
    cases = load(cohort, CFG, tmp_path)
    assert len(cases) == 12
    assert {case.id: case.patient for case in cases} == {
        f"phantom_{n:03d}_{frame}": f"phantom_{n:03d}" for n in range(6) for frame in range(2)
    }


def test_without_patients_near_duplicates_are_one(tmp_path):
    # Smooth pictures: hashes of noise would not survive a change of size.
    for number in range(6):
        coarse = np.random.default_rng(number).integers(0, 256, (12, 12), np.uint8)
        large = np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))
        save(large, tmp_path / "data" / "images" / f"p{number}.png")
        save(np.zeros((96, 96)), tmp_path / "data" / "masks" / f"p{number}.png")
    darker = np.asarray(Image.open(tmp_path / "data/images/p2.png").resize((72, 72))) * 0.8
    save(darker, tmp_path / "data" / "images" / "p5.png")
    save(np.zeros((72, 72)), tmp_path / "data" / "masks" / "p5.png")
    patients = {case.id: case.patient for case in load(tmp_path / "data", CFG, tmp_path)}
    assert patients == {"p0": "p0", "p1": "p1", "p2": "p2", "p3": "p3", "p4": "p4", "p5": "p2"}


def test_folds_part_patients_and_hold_every_picture_out_once():
    array = np.zeros((2, 2), np.uint8)
    cases = [Prepared(f"{p}-{n}", p, array, array, True) for p in "abcdefg" for n in range(3)]
    splits = folds(cases, SplitConfig(num_folds=3))
    assert sorted(id_ for split in splits for id_ in split.test) == [case.id for case in cases]
    for split in splits:
        assert not {id_[0] for id_ in split.train} & {id_[0] for id_ in split.test}


def test_too_few_patients_for_the_folds_are_refused():
    array = np.zeros((2, 2), np.uint8)
    cases = [Prepared(p, p, array, array, True) for p in "abc"]
    with pytest.raises(InputError, match=r"cannot make 5 folds of 3.*set --split\.num-folds"):
        folds(cases, SplitConfig())


def test_an_empty_and_an_absent_folder_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "the folder is empty"), ("absent", "no such folder")):
        with pytest.raises(InputError, match=message):
            load(tmp_path / name, CFG, tmp_path / "run")
