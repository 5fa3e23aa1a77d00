"""From the files of a data set to prepared pictures: what is stored, skipped and kept together."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.commands.sources import digest
from core.config import fingerprint
from core.data.index import read_index
from core.datasets.images import read_images
from core.errors import InputError
from eusdaf.config import PrepareConfig, SplitConfig
from eusdaf.data import Prepared
from eusdaf.prepare import find_cache, folds, open_cases, prepare
from tests.refusals import refused

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


def load(data: list[Path], cfg: PrepareConfig, workdir: Path) -> list[Prepared]:
    return open_cases(find_cache(data, cfg, workdir))


def only_contents(cache: Path):
    (contents,) = read_index(cache / fingerprint(CFG)).values()
    return contents


def smooth(number: int) -> np.ndarray:
    """Hashes of noise would not survive a change of size."""
    coarse = np.random.default_rng(number).integers(0, 256, (12, 12), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))


def save_smooth(root: Path, names: dict[str, np.ndarray]) -> Path:
    """Pictures without a lesion and without patients."""
    for name, array in names.items():
        save(array, root / "images" / f"{name}.png")
        save(np.zeros(array.shape), root / "masks" / f"{name}.png")
    return root


def darker(number: int) -> np.ndarray:
    """The same picture again: smaller, and of another brightness."""
    return np.asarray(Image.fromarray(smooth(number)).resize((72, 72))) * 0.8


def test_pictures_are_gray_and_of_one_size_and_masks_0_and_1(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG)
    a, b = load([tmp_path / "cache"], CFG, tmp_path)
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


def test_a_picture_is_known_by_the_digest_of_its_whole_gray(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG)
    a, b = load([tmp_path / "cache"], CFG, tmp_path)
    assert a.digest == digest(PICTURES["a"])
    assert a.digest != b.digest


def test_what_is_odd_about_a_mask_is_told_in_the_index(data, tmp_path, caplog):
    path = next(iter(data.rglob("masks/b.png")), data / "normal" / "b_mask.png")
    large = np.zeros((32, 32))
    large[2:30, 2:30] = 255
    save(large, path)
    prepare([data], tmp_path / "cache", CFG)
    (told,) = only_contents(tmp_path / "cache").cases["b"].remarks
    assert told == f"{path}: marks 77% of the image; is it inverted?"
    assert told in caplog.messages


def test_a_bad_picture_is_left_out_named_and_counted(data, tmp_path):
    path = next(iter(data.rglob("a.png")))
    path.write_bytes(path.read_bytes()[:300])
    assert prepare([data], tmp_path / "cache", CFG) == 1
    contents = only_contents(tmp_path / "cache")
    assert list(contents.cases) == ["b"]
    assert "truncated" in contents.skipped[0].reason


def test_a_mask_of_another_size_is_left_out_with_both_sizes(tmp_path):
    folders(tmp_path / "data")
    save(np.zeros((20, 30)), tmp_path / "data" / "masks" / "a.png")
    assert prepare([tmp_path / "data"], tmp_path / "cache", CFG) == 1
    (skipped,) = only_contents(tmp_path / "cache").skipped
    assert skipped.path == tmp_path / "data" / "masks" / "a.png"
    assert "20 × 30" in skipped.reason
    assert "40 × 60" in skipped.reason


def test_a_data_set_is_prepared_into_the_run_folder(data, tmp_path):
    assert [case.id for case in load([data], CFG, tmp_path / "run")] == ["a", "b"]
    assert (tmp_path / "run" / "prepared" / fingerprint(CFG)).is_dir()


def test_nothing_usable_is_refused_with_the_first_reason(tmp_path):
    folders(tmp_path / "data")
    for path in (tmp_path / "data" / "images").iterdir():
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="has no usable case") as refusal:
        prepare([tmp_path / "data"], tmp_path / "cache", CFG)
    assert "truncated" in (refusal.value.hint or "")


def test_a_cache_of_another_size_is_refused(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG)
    with pytest.raises(InputError, match="is prepared otherwise") as refusal:
        load([tmp_path / "cache"], PrepareConfig(size=64), tmp_path)
    assert refusal.value.hint == "run eusdaf prepare --prepare.size 64"


def test_a_class_without_a_picture_is_a_warning(tmp_path, caplog):
    save_smooth(tmp_path / "data", {"a": smooth(0)})
    prepare([tmp_path / "data"], tmp_path / "cache", CFG)
    assert "1 cases of 1 patients: 0 with a lesion, 1 without a lesion" in caplog.messages


def test_patients_of_the_table_are_kept(cohort, tmp_path):
    cases = load([cohort], CFG, tmp_path)
    assert len(cases) == 12
    assert {case.id: case.patient for case in cases} == {
        f"phantom_{n:03d}_{frame}": f"phantom_{n:03d}" for n in range(6) for frame in range(2)
    }


def test_a_pattern_names_the_patients(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG, patient_pattern="()[ab]")
    assert {case.patient for case in load([tmp_path / "cache"], CFG, tmp_path)} == {""}


def test_a_table_of_patients_is_handed_to_the_reader(data, tmp_path, monkeypatch):
    told = {}

    def read(path, *, patient_pattern, patients):
        told.update(pattern=patient_pattern, patients=patients)
        return read_images(path)

    monkeypatch.setattr("eusdaf.prepare.read_images", read)
    prepare([data], tmp_path / "cache", CFG, patients=tmp_path / "patients.csv")
    assert told == {"pattern": None, "patients": tmp_path / "patients.csv"}


def test_without_patients_near_duplicates_are_one(tmp_path):
    pictures = {f"p{n}": smooth(n) for n in range(5)} | {"p5": darker(2)}
    save_smooth(tmp_path / "data", pictures)
    patients = {case.id: case.patient for case in load([tmp_path / "data"], CFG, tmp_path)}
    assert patients == {"p0": "p0", "p1": "p1", "p2": "p2", "p3": "p3", "p4": "p4", "p5": "p2"}


@pytest.mark.parametrize("at_once", [True, False], ids=["in one call", "one after the other"])
def test_near_duplicates_in_two_data_sets_are_one(tmp_path, at_once):
    first = save_smooth(tmp_path / "first", {f"p{n}": smooth(n) for n in range(3)})
    second = save_smooth(tmp_path / "second", {"q1": darker(1), "q9": smooth(9)})
    for data in [[first, second]] if at_once else [[first], [second]]:
        prepare(data, tmp_path / "cache", CFG)
    cases = load([tmp_path / "cache"], CFG, tmp_path)
    patients = {case.id: case.patient for case in cases}
    assert patients == {"p0": "p0", "p1": "p1", "p2": "p2", "q1": "p1", "q9": "q9"}


def test_two_data_sets_with_a_case_of_one_name_are_refused(tmp_path):
    first = save_smooth(tmp_path / "first", {"a": smooth(0)})
    second = save_smooth(tmp_path / "second", {"a": smooth(1)})
    with pytest.raises(InputError, match="has a case 'a', and so has") as refusal:
        prepare([first, second], tmp_path / "cache", CFG)
    assert refusal.value.path == second


def test_folds_part_patients_and_hold_every_picture_out_once():
    array = np.zeros((2, 2), np.uint8)
    cases = [Prepared(f"{p}-{n}", p, "", array, array, True) for p in "abcdefg" for n in range(3)]
    splits = folds(cases, SplitConfig(num_folds=3))
    assert sorted(id_ for split in splits for id_ in split.test) == [case.id for case in cases]
    for split in splits:
        assert not {id_[0] for id_ in split.train} & {id_[0] for id_ in split.test}


def test_too_few_patients_for_the_folds_are_refused():
    array = np.zeros((2, 2), np.uint8)
    cases = [Prepared(p, p, "", array, array, True) for p in "abc"]
    with refused(None, "5 folds", "3 patients", hint="--split.num-folds"):
        folds(cases, SplitConfig())


def test_an_empty_and_an_absent_folder_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, message in (("empty", "the folder is empty"), ("absent", "no such folder")):
        with pytest.raises(InputError, match=message):
            load([tmp_path / name], CFG, tmp_path / "run")


def several(root: Path) -> Path:
    """A picture whose mask has an organ, 1, and a lesion in it, 2."""
    organ_and_lesion = mask("a") // 255
    organ_and_lesion[12:20, 20:30] = 2
    save(PICTURES["a"], root / "images" / "a.png")
    save(organ_and_lesion, root / "masks" / "a.png")
    return root


def test_the_value_of_the_lesion_makes_other_masks_in_another_cache(tmp_path):
    data, cache = several(tmp_path / "data"), tmp_path / "cache"
    with pytest.raises(InputError, match="has no usable case") as refusal:
        prepare([data], cache, CFG)
    assert "0, 1, 2" in (refusal.value.hint or "")
    for value, share in (("2", 80 / 2400), ("1", 520 / 2400)):
        cfg = PrepareConfig(32, value)
        assert not prepare([data], cache, cfg)
        (case,) = load([cache], cfg, tmp_path)
        assert case.mask[...].mean() == pytest.approx(share, abs=0.01)
    with pytest.raises(InputError, match="is prepared otherwise") as refusal:
        load([cache], PrepareConfig(32, "3"), tmp_path)
    assert refusal.value.hint == "run eusdaf prepare --prepare.size 32 --prepare.lesion-value 3"


def save_twice(path: Path) -> None:
    image = Image.open(path)
    image.save(path, save_all=True, append_images=[image.point(lambda v: 255 - v)])


def test_a_value_is_a_number_or_a_color():
    for wrong in ("red", "-1", "#fff", ""):
        with pytest.raises(ValueError, match="lesion_value is a number or a color"):
            PrepareConfig(lesion_value=wrong)


def test_every_kind_of_lost_picture_is_counted(tmp_path):
    lose = {
        "value": several,
        "black": lambda root: save(np.zeros((40, 60)), root / "images" / "a.png"),
        "clip": lambda root: save_twice(root / "images" / "a.png"),
        "orphan": lambda root: (root / "images" / "a.png").unlink(),
    }
    for kind in lose:
        folders(tmp_path / kind)
        lose[kind](tmp_path / kind)
        assert prepare([tmp_path / kind], tmp_path / "cache" / kind, CFG), kind
        contents = only_contents(tmp_path / "cache" / kind)
        assert [skipped.is_broken for skipped in contents.skipped] == [True], kind
        assert list(contents.cases) == ["b"]
    folders(tmp_path / "data")
    assert not prepare([tmp_path / "data"], tmp_path / "cache", CFG)
