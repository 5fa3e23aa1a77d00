"""From every layout of data set to stacks of slices: what is stored, left out, and why."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.io import nifti
from core.phantom.ct.cohort import label_table
from core.phantom.ct.phantom import make
from core.phantom.dicom.cohort import write_dicom_cohort
from core.phantom.dicom.series import write_dicom_study
from core.volume import CANONICAL_DIRECTION, Volume, canonical
from fee.config import PrepareConfig, ScreenConfig
from fee.data import PreparedSeries
from fee.dataset_readers import read_data
from fee.prepare import find_cache, open_series, prepare
from fee.slices import to_mask_slices, to_slices
from tests.core.io.dicom.make import save, slices

SIZE = 32
SHAPE, SPACING_MM = (12, 64, 64), (10.0, 5.0, 5.0)
CFG, ANY_SIZE = PrepareConfig(size=SIZE), ScreenConfig(size=0)
GRID = Volume(np.zeros(SHAPE, np.int16), SPACING_MM, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


def load(data: list[Path], workdir: Path, cfg: PrepareConfig) -> list[PreparedSeries]:
    return open_series(find_cache(data, workdir, screen=ANY_SIZE, cfg=cfg))


def prepared(data: Path, tmp_path: Path, **changes) -> dict[str, PreparedSeries]:
    cases = load([data], tmp_path / "run", replace(CFG, **changes))
    return {case.id: case for case in cases}


def cache(folder: Path) -> Path:
    """The one preparation in it."""
    (index,) = folder.glob("*/index.json")
    return index.parent


def skipped(folder: Path) -> list[dict]:
    """What was left out of the one data set in a cache."""
    (contents,) = json.loads((cache(folder) / "index.json").read_text())["data"].values()
    return contents["skipped"]


def hu(seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(-200, 300, SHAPE, np.int16)
    values[:, :8] = -1000
    return values


def ids() -> np.ndarray:
    """Pancreas in slices 3 … 8, tumor in slices 5 and 6."""
    label = np.zeros(SHAPE, np.uint8)
    label[3:9, 20:44, 20:44] = 1
    label[5:7, 28:36, 28:36] = 2
    return label


def assert_stack(case: PreparedSeries, image: Volume, label: Volume) -> None:
    np.testing.assert_array_equal(case.image[...], to_slices(image, CFG))
    np.testing.assert_array_equal(case.mask[...], to_mask_slices(label, CFG))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Three patients with two phases each, among all that a hospital adds; one is zipped."""
    return write_dicom_cohort(
        tmp_path_factory.mktemp("fee") / "cohort",
        num_patients=3,
        seed=0,
        shape=SHAPE,
        spacing_mm=SPACING_MM,
        diameters_mm=(30.0, 40.0),
    )


def test_a_cohort_gives_every_phase_of_every_patient_with_its_mask(cohort, tmp_path, caplog):
    caplog.set_level("INFO")
    assert prepare([cohort], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG) == 0
    cases = prepared(tmp_path / "cache", tmp_path)
    assert list(cases) == [
        f"phantom_{n:03d}_{phase}" for n in range(3) for phase in ("arterial", "venous")
    ]
    table = csv.DictReader((cohort / "patients.csv").read_text().splitlines())
    rows = {row["patient"]: row for row in table}
    for case in cases.values():
        truth = nifti.read_label(cohort / "masks" / case.patient / f"{case.phase}.nii.gz")
        np.testing.assert_array_equal(case.mask[...], to_mask_slices(truth, CFG))
        assert case.tumor == (rows[case.patient]["tumor"] == "1")
        assert case.tumor_type == rows[case.patient]["tumor_type"]
        shown = np.flatnonzero((case.mask[...] > 0).any((1, 2)))
        assert case.pancreas_slices == tuple(shown)
        # The pancreas is gray, air is black: image and mask lie on each other.
        gray = case.image[...][case.mask[...] > 0]
        assert np.median(gray) > 100
    left_out = skipped(tmp_path / "cache")
    assert len(left_out) > 0
    assert all(file["reason"] for file in left_out)
    assert "6 cases of 3 patients" in caplog.text
    assert len({case.digest for case in cases.values()}) == len(cases)


def copy_of(cohort: Path, root: Path, *, masks: bool = True) -> Path:
    """The same patients, with a table and masks that may be changed."""
    root.mkdir()
    (root / "patients").symlink_to(cohort / "patients")
    (root / "patients.csv").write_bytes((cohort / "patients.csv").read_bytes())
    if masks:
        shutil.copytree(cohort / "masks", root / "masks")
    return root


def test_a_mask_that_fits_no_series_costs_that_series_alone(cohort, tmp_path):
    data = copy_of(cohort, tmp_path / "data", masks=False)
    small = replace(GRID, array=np.zeros((12, 64, 63), np.uint8))
    (data / "masks").mkdir()
    nifti.write(data / "masks" / "phantom_000.nii.gz", small)
    assert prepare([data], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG) == 1
    series = prepared(tmp_path / "cache", tmp_path)
    assert "phantom_000_arterial" not in series
    assert any("(12, 64, 63)" in file["reason"] for file in skipped(tmp_path / "cache"))
    assert series["phantom_000_venous"].mask is None
    assert series["phantom_000_venous"].pancreas_slices == ()


def test_a_mask_whose_phase_no_series_has_is_a_labelled_case_left_out(cohort, tmp_path):
    data = copy_of(cohort, tmp_path / "data")
    venous = data / "masks" / "phantom_000" / "venous.nii.gz"
    venous.rename(venous.with_name("delayed.nii.gz"))
    assert prepare([data], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG) == 1
    (lost,) = (file for file in skipped(tmp_path / "cache") if file["is_broken"])
    assert "delayed" in lost["reason"]


def test_a_mended_table_is_seen_without_another_reading(cohort, tmp_path):
    data = copy_of(cohort, tmp_path / "data")
    prepare([data], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    path = cache(tmp_path / "cache") / "phantom_000_arterial" / "case.json"
    before = path.stat().st_mtime_ns
    lines = (data / "patients.csv").read_text().splitlines()
    (data / "patients.csv").write_text(
        "\n".join("phantom_000,1,SCN" if line.startswith("phantom_000") else line for line in lines)
    )
    prepare([data], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    stack = prepared(tmp_path / "cache", tmp_path)["phantom_000_arterial"]
    assert (stack.tumor, stack.tumor_type) == (True, "SCN")
    assert path.stat().st_mtime_ns == before


def test_a_folder_of_two_patients_is_left_out_and_the_others_are_prepared(tmp_path, caplog):
    root = tmp_path / "data"
    for name, ids_ in (("mixed", "AB"), ("good", "A")):
        for id_ in ids_:
            made = slices(
                hu(), series=f"{name}{id_}", PatientID=id_, StudyInstanceUID=f"1.{ord(id_)}"
            )
            save(root / "patients" / name / id_, made)
    (root / "patients.csv").write_text("patient,tumor\nmixed,1\ngood,0\n")
    assert prepare([root], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG) == 1
    assert list(prepared(tmp_path / "cache", tmp_path)) == ["good_venous"]
    assert "2 patients" in caplog.text


def write_nnunet(
    root: Path, ids_: dict[str, int], *names: str, name: str = "Own", first: int = 0
) -> None:
    description = {
        "name": name,
        "channel_names": {"0": "CT"},
        "labels": ids_,
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    for n, case in enumerate(names):
        array = np.minimum(ids(), max(ids_.values())) if n else ids() % 2
        nifti.write(root / "imagesTr" / f"{case}_0000.nii.gz", GRID.with_array(hu(n + first)))
        nifti.write(root / "labelsTr" / f"{case}.nii.gz", GRID.with_array(array))
    (root / "dataset.json").write_text(json.dumps(description))


def test_an_nnunet_folder_tells_tumors_by_its_labels(tmp_path):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1, "cancer": 2}, "a", "b")
    cases = prepared(tmp_path / "data", tmp_path)
    assert [(c.id, c.patient, c.phase, c.tumor) for c in cases.values()] == [
        ("a", "a", "unknown", False),
        ("b", "b", "unknown", True),
    ]
    assert_stack(cases["b"], GRID.with_array(hu(1)), GRID.with_array(ids()))
    assert cases["b"].pancreas_slices == (3, 4, 5, 6, 7, 8)
    assert cases["b"].tumor_slices == (5, 6)


def test_without_a_label_for_tumors_nothing_is_known_about_them(tmp_path):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a")
    assert prepared(tmp_path / "data", tmp_path)["a"].tumor is None


def test_panorama_has_patients_and_a_table_that_outweighs_the_mask(tmp_path):
    names = "100000_00001", "100000_00002", "100001_00001"
    write_nnunet(tmp_path / "data", {"background": 0, "PDAC lesion": 2, "pancreas": 1}, *names)
    (tmp_path / "data" / "clinical_information.csv").write_text(
        "PANORAMA_patient_id,PANORAMA_study_id,label\n100000,00001,PDAC\n100000,2,non-PDAC\n"
    )
    cases = prepared(tmp_path / "data", tmp_path)
    assert [(c.patient, c.phase, c.tumor) for c in cases.values()] == [
        ("100000", "venous", True),
        ("100000", "venous", False),
        ("100001", "venous", True),
    ]


def test_labels_without_a_pancreas_are_refused(tmp_path):
    write_nnunet(tmp_path / "data", {"background": 0, "tumor": 1}, "a")
    with pytest.raises(InputError, match="needs a label for pancreas"):
        prepared(tmp_path / "data", tmp_path)


def test_nih_patients_are_healthy_and_their_labels_are_flipped_back(tmp_path):
    phantom = make(0, shape=(24, 96, 96), spacing_mm=(5.0, 3.6, 3.6), tumor_diameter_mm=None)
    series = tmp_path / "data" / "Pancreas-CT" / "PANCREAS_0007" / "1" / "2"
    write_dicom_study(series, phantom, phases=("venous",))
    truth = label_table({"background": 0, "pancreas": 1})[canonical(phantom.label).array]
    label = replace(phantom.label, array=truth[:, ::-1], origin_mm=(0.0, 0.0, 0.0))
    nifti.write(tmp_path / "data" / "labels" / "label0007.nii.gz", label)
    expected = to_mask_slices(phantom.label.with_array(truth), CFG)
    for flip in ("auto", "h"):
        (case,) = prepared(tmp_path / "data", tmp_path, label_flip=flip).values()
        assert (case.patient, case.phase, case.tumor) == ("PANCREAS_0007", "venous", False)
        np.testing.assert_array_equal(case.mask[...], expected)
    (case,) = prepared(tmp_path / "data", tmp_path, label_flip="none").values()
    np.testing.assert_array_equal(case.mask[...], expected[:, ::-1])


def test_a_mask_of_several_values_is_refused_with_what_helps_here(tmp_path):
    for part, values in (("images", 200), ("masks", 3)):
        (tmp_path / "data" / part).mkdir(parents=True)
        picture = np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE) % values
        Image.fromarray(picture).save(tmp_path / "data" / part / "p.png")
    message = "write the pancreas as 255 and all else as 0"
    with pytest.raises(InputError, match=message) as refusal:
        prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    assert "eusdaf" not in str(refusal.value)


def test_real_slices_are_turned_upright_and_belong_to_their_patients(shared_data, tmp_path):
    source = shared_data / "nih_pancreas_slices"
    for name in ("0001-1106", "0001-1124", "0002-1090"):
        for part in ("images", "masks"):
            (tmp_path / "data" / part).mkdir(parents=True, exist_ok=True)
            file = f"PANCREAS_{name}.jpg"
            (tmp_path / "data" / part / file).symlink_to(source / part / file)
    cfg = PrepareConfig(size=512)
    first, second = load([tmp_path / "data"], tmp_path / "run", cfg)
    assert [(c.patient, len(c.image)) for c in (first, second)] == [
        ("PANCREAS_0001", 2),
        ("PANCREAS_0002", 1),
    ]
    assert (first.phase, first.tumor) == ("venous", False)
    stored = np.asarray(Image.open(source / "images" / "PANCREAS_0001-1124.jpg").convert("L"))
    np.testing.assert_array_equal(first.image[1], stored[::-1])
    truth = np.asarray(Image.open(source / "masks" / "PANCREAS_0001-1124.jpg").convert("L")) > 127
    np.testing.assert_array_equal(first.mask[1], truth[::-1])
    # The spine, which is the brightest, lies at the back: in the lower half.
    bright = np.nonzero(first.image[1][:400] > 220)[0]
    assert bright.mean() > 256
    assert first.pancreas_slices == (0, 1)


def test_other_slices_are_taken_as_they_are(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8)
    for part, array in (("images", picture), ("masks", (picture > 200).astype(np.uint8) * 255)):
        (tmp_path / "data" / part).mkdir(parents=True)
        Image.fromarray(array).save(tmp_path / "data" / part / "a.png")
    case = prepared(tmp_path / "data", tmp_path)["a"]
    assert (case.patient, case.phase, case.tumor) == ("a", "unknown", None)
    np.testing.assert_array_equal(case.image[0], picture)
    np.testing.assert_array_equal(case.mask[0], picture > 200)


def test_a_table_tells_the_patients_of_slices(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE), np.uint8)
    mask = np.pad(np.full((8, 8), 255, np.uint8), ((0, SIZE - 8), (0, SIZE - 8)))
    for part, array in (("images", picture), ("masks", mask)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for name in "abc":
            Image.fromarray(array).save(tmp_path / "data" / part / f"{name}.png")
    (tmp_path / "who.csv").write_text("image,patient\na.png,p\nb.png,p\nc.png,q\n")
    table, options = tmp_path / "who.csv", {"screen": ANY_SIZE, "prepare": CFG}
    prepare([tmp_path / "data"], tmp_path / "cache", patients=table, **options)
    cases = open_series(cache(tmp_path / "cache"))
    assert [(case.patient, len(case.image)) for case in cases] == [("p", 2), ("q", 1)]


def test_a_cohort_whose_table_tells_the_patients_says_that_others_are_not_used(
    cohort, tmp_path, caplog
):
    read_data(cohort, tmp_path, screening=ANY_SIZE, cfg=CFG)
    assert "not used" not in caplog.text
    for option in ({"patient_pattern": "(.*)"}, {"patients": tmp_path / "who.csv"}):
        caplog.clear()
        read_data(cohort, tmp_path, screening=ANY_SIZE, cfg=CFG, **option)
        assert f"{cohort}: --patient-pattern and --patients are not used" in caplog.text


def test_what_is_prepared_is_not_made_again(tmp_path):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a", "b")
    prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    path = cache(tmp_path / "cache") / "b" / "case.json"
    before = path.stat().st_mtime_ns
    prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    assert path.stat().st_mtime_ns == before


def test_data_sets_share_a_cache_and_a_pattern_tells_patients(tmp_path):
    write_nnunet(tmp_path / "one", {"background": 0, "pancreas": 1}, "a_1", "a_2")
    write_nnunet(tmp_path / "two", {"background": 0, "pancreas": 1}, "b_1", first=2)
    both = [tmp_path / "one", tmp_path / "two"]
    prepare(both, tmp_path / "cache", screen=ANY_SIZE, prepare=CFG, patient_pattern=r"(\w)_\d")
    series = prepared(tmp_path / "cache", tmp_path)
    assert {stack.id: stack.patient for stack in series.values()} == {
        "a_1": "a",
        "a_2": "a",
        "b_1": "b",
    }


def test_prescribed_folds_are_said_not_to_be_used(tmp_path, caplog):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a", "b")
    folds = [{"train": ["a"], "val": ["b"]}]
    (tmp_path / "data" / "splits_final.json").write_text(json.dumps(folds))
    prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    assert "splits_final.json is not used" in caplog.text


def test_classes_are_counted_and_an_empty_one_is_a_warning(tmp_path, caplog):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a")
    prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert any("0 with a tumor, 0 without a tumor" in text for text in warnings)
    assert any("of 1 series it is not known" in text for text in warnings)


def test_a_bad_case_is_skipped_and_named(tmp_path, caplog):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a", "b")
    bad = tmp_path / "data" / "imagesTr" / "a_0000.nii.gz"
    bad.write_bytes(bad.read_bytes()[:500])
    assert prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG) == 1
    assert list(prepared(tmp_path / "cache", tmp_path)) == ["b"]
    assert "skipped a:" in caplog.text


def test_nothing_usable_is_refused_with_the_first_reason(tmp_path):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a")
    (tmp_path / "data" / "imagesTr" / "a_0000.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match="no usable case") as error:
        prepared(tmp_path / "data", tmp_path)
    assert error.value.path == tmp_path / "data"


def test_an_unknown_layout_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").touch()
    with pytest.raises(InputError, match="data") as error:
        prepared(tmp_path / "data", tmp_path)
    for name in ("patients.csv", "dataset.json", "PANCREAS_0001", "images/"):
        assert name in error.value.hint


def test_a_cache_that_was_made_otherwise_is_refused(tmp_path):
    write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a")
    prepare([tmp_path / "data"], tmp_path / "cache", screen=ANY_SIZE, prepare=CFG)
    with pytest.raises(InputError, match="otherwise") as error:
        prepared(tmp_path / "cache", tmp_path, size=64)
    assert "--prepare.size 64" in error.value.hint
