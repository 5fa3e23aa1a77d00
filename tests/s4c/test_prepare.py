"""From files to prepared cases: what is stored, what is skipped, and how folds are cut."""

import gzip
import json
import shutil
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from core.config import fingerprint
from core.data.index import read_index
from core.datasets.pancreas import IGNORE, PANCREAS, TUMOR
from core.errors import InputError
from core.io import nifti
from core.phantom.ct.cohort import label_table
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.volume import CANONICAL_DIRECTION, Volume, canonical
from s4c.config import PrepareConfig, SplitConfig
from s4c.infer import screen
from s4c.prepare import find_cache, folds, open_cases, prepare
from s4c.study import study
from tests.core.datasets.public import (
    box,
    image,
    save,
    write_masks,
    write_panorama,
    write_pants,
    write_table,
)
from tests.refusals import refused
from tests.s4c.phantoms import prepared

CFG = PrepareConfig()
SHAPE = (10, 12, 14)
# Stored to the right, the back and the feet: nothing here is canonical.
AFFINE = np.diag([2.0, -2.0, -3.0, 1.0])


def load(data, cfg, workdir):
    return open_cases(find_cache(data, cfg, workdir))


@pytest.fixture
def data(tmp_path):
    """Two cases; the tumor of the first one lies at known voxels of the file."""
    root = tmp_path / "data"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for id_ in ("a", "b"):
        image = rng.integers(-1000, 1000, SHAPE).astype(np.int16)
        label = np.zeros(SHAPE, np.uint8)
        label[2:6, 3:9, 4:8] = 4
        if id_ == "a":
            label[2:4, 3:5, 4:6] = 7
        nib.save(nib.Nifti1Image(image, AFFINE), root / "imagesTr" / f"{id_}_0000.nii.gz")
        nib.save(nib.Nifti1Image(label, AFFINE), root / "labelsTr" / f"{id_}.nii.gz")
    write_description(root, {"background": 0, "pancreas": 4, "tumor": 7})
    return root


def write_description(root, labels) -> None:
    description = {
        "channel_names": {"0": "CT"},
        "labels": labels,
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))


def test_cases_are_canonical_windowed_and_mapped_by_name(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG)
    a, b = load([tmp_path / "cache"], CFG, tmp_path)
    stored = np.asarray(nib.load(data / "imagesTr" / "a_0000.nii.gz").dataobj)
    # File axes (x to the right… to the left is canonical; z to the feet) → (z up, y back, x left).
    expected = np.clip(stored[::-1, :, ::-1].transpose(2, 1, 0), *CFG.window_hu)
    np.testing.assert_array_equal(a.image, expected)
    assert (a.mean, a.std) == (pytest.approx(expected.mean()), pytest.approx(expected.std()))
    assert set(np.unique(a.label)) == {0, PANCREAS, TUMOR}
    assert len(a.tumor_voxels) == 8
    assert len(a.pancreas_voxels) == 4 * 6 * 4
    assert a.is_abnormal
    assert not b.is_abnormal
    assert b.tumor_box is None
    assert a.pancreas_box.shape == (4, 6, 4)


def test_scans_of_a_spacing_cover_what_they_covered(data, tmp_path):
    """Stored at 2 × 2 × 3 mm (x, y, z); told that way in the index, and seen at 1.5 × 1 × 2 mm."""
    cfg = PrepareConfig(spacing_mm=(1.5, 1.0, 2.0))
    prepare([data], tmp_path / "cache", cfg)
    cases = load([tmp_path / "cache"], cfg, tmp_path)
    for own, case in zip(load([data], CFG, tmp_path / "run"), cases, strict=True):
        d, h, w = own.image.shape
        assert case.image.shape == case.label.shape == (2 * d, 2 * h, w)
        # Of each voxel along an axis that is halved, two: blocks stay blocks.
        np.testing.assert_array_equal(case.label[::2, ::2], own.label)
        assert case.image.dtype == np.int16
        assert case.image[...].min() >= cfg.window_hu[0]
        assert case.mean == pytest.approx(case.image[...].mean())
    (contents,) = read_index(tmp_path / "cache" / fingerprint(cfg)).values()
    assert {entry.scans[0].spacing_mm for entry in contents.cases.values()} == {(3.0, 2.0, 2.0)}


def test_a_data_set_is_prepared_into_the_run_folder(data, tmp_path):
    assert [case.id for case in load([data], CFG, tmp_path / "run")] == ["a", "b"]
    assert (tmp_path / "run" / "prepared").is_dir()


def test_a_cache_of_other_intensities_is_refused(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG)
    other = replace(CFG, window_hu=(-50.0, 200.0))
    with pytest.raises(InputError, match="is prepared otherwise") as refusal:
        load([tmp_path / "cache"], other, tmp_path)
    assert refusal.value.hint == "run s4c prepare --prepare.window-hu -50.0 200.0"


def write_nih_case(root, number) -> None:
    """A phantom in the tree of TCIA, its label with axes that run against the images."""
    spacing_mm = (4.0, 4.0, 4.0)
    phantom = make(0, shape=(32, 80, 80), spacing_mm=spacing_mm, tumor_diameter_mm=None)
    write_dicom_study(root / f"PANCREAS_{number}" / "study" / "series", phantom, phases=("venous",))
    array = label_table({"background": 0, "pancreas": 1})[canonical(phantom.label).array]
    label = Volume(array, spacing_mm, (0.0, 0.0, 0.0), -CANONICAL_DIRECTION)
    nifti.write(root / f"label{number}.nii.gz", label)


def only_contents(cache):
    (contents,) = read_index(cache / fingerprint(CFG)).values()
    return contents


def test_a_bad_case_is_left_out_named_and_counted(data, tmp_path):
    path = data / "imagesTr" / "a_0000.nii.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()))[:-200])
    assert prepare([data], tmp_path / "cache", CFG) == 1
    contents = only_contents(tmp_path / "cache")
    assert list(contents.cases) == ["b"]
    assert contents.skipped[0].path == path
    assert "truncated" in contents.skipped[0].reason


def test_an_undeclared_label_id_is_left_out_and_named(data, tmp_path):
    write_description(data, {"background": 0, "pancreas": 4, "tumor": 5})
    assert prepare([data], tmp_path / "cache", CFG) == 1
    contents = only_contents(tmp_path / "cache")
    assert list(contents.cases) == ["b"]
    assert "label ids [7]" in contents.skipped[0].reason


def test_label_names_are_needed_over_all_data_sets_together(data, tmp_path):
    pancreas_only = tmp_path / "healthy"
    shutil.copytree(data, pancreas_only)
    write_description(pancreas_only, {"background": 0, "pancreas": 4, "duct": 7})
    for folder in ("imagesTr", "labelsTr"):
        for path in (pancreas_only / folder).iterdir():
            path.rename(path.with_name(f"h{path.name}"))
    with pytest.raises(InputError, match="no label for tumor") as refusal:
        prepare([pancreas_only], tmp_path / "cache", CFG)
    assert refusal.value.path == pancreas_only
    assert prepare([pancreas_only, data], tmp_path / "cache", CFG) == 0
    cases = load([tmp_path / "cache"], CFG, tmp_path)
    assert [case.id for case in cases] == ["a", "b", "ha", "hb"]
    assert [case.is_abnormal for case in cases] == [True, False, False, False]


def test_nih_and_msd_are_combined(data, tmp_path):
    nih = tmp_path / "nih"
    write_nih_case(nih, "0001")
    prepare([nih, data], tmp_path / "cache", CFG)
    cases = load([tmp_path / "cache"], CFG, tmp_path)
    assert [case.id for case in cases] == ["PANCREAS_0001", "a", "b"]
    assert cases[0].pancreas_box is not None


def test_a_patient_pattern_keeps_studies_together(data, tmp_path):
    for folder, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        for id_ in "ab":
            path = data / folder / f"{id_}{ending}"
            path.rename(path.with_name(f"p1-{id_}{ending}"))
    prepare([data], tmp_path / "cache", CFG, patient_pattern=r"(\w+)-\w")
    assert [c.patient for c in load([tmp_path / "cache"], CFG, tmp_path)] == ["p1", "p1"]


def test_other_label_names_prepare_a_case_again(data, tmp_path):
    prepare([data], tmp_path / "cache", CFG)
    write_description(data, {"background": 0, "tumor": 4, "pancreas": 7})
    prepare([data], tmp_path / "cache", CFG)
    a, _ = load([tmp_path / "cache"], CFG, tmp_path)
    assert len(a.tumor_voxels) == 4 * 6 * 4 - 8


def test_folds_share_the_normal_test_patients_and_part_the_abnormal_ones():
    cases = [prepared(f"t{i}", tumor=True) for i in range(8)]
    cases += [prepared(f"n{i}", tumor=False) for i in range(6)]
    splits = folds(cases, SplitConfig(num_folds=4, normal_train=1 / 3))
    normal_tests = [{c for c in split.test if c.startswith("n")} for split in splits]
    assert all(tests == normal_tests[0] for tests in normal_tests)
    assert len(normal_tests[0]) == 4
    tumors = [c for split in splits for c in split.test if c.startswith("t")]
    assert sorted(tumors) == [f"t{i}" for i in range(8)]
    for split in splits:
        assert not set(split.train) & set(split.test)


def test_too_few_patients_for_the_folds_are_refused():
    with pytest.raises(InputError, match=r"set --split\.num-folds"):
        folds([prepared("t", tumor=True), prepared("n", tumor=False)], SplitConfig())


def test_voxels_that_nobody_annotated_are_kept_and_are_no_pancreas(data, tmp_path):
    write_description(data, {"background": 0, "pancreas": 4, "tumor": 7, "ignore": 9})
    path = data / "labelsTr" / "b.nii.gz"
    array = np.asarray(nib.load(path).dataobj).copy()
    array[8:] = 9
    nib.save(nib.Nifti1Image(array, AFFINE), path)
    assert not prepare([data], tmp_path / "cache", CFG)
    _, b = load([tmp_path / "cache"], CFG, tmp_path)
    assert set(np.unique(b.label)) == {0, PANCREAS, IGNORE}
    assert len(b.pancreas_voxels) == 4 * 6 * 4
    assert b.pancreas_box.shape == (4, 6, 4)


def test_normal_patients_are_divided_once_or_in_folds():
    cases = [prepared(f"{kind}{n}", tumor=kind == "t") for kind in "tn" for n in range(4)]
    hard = folds(cases, SplitConfig(num_folds=2, normal_train=0.5))
    shared = folds(cases, SplitConfig(num_folds=2, normal="folds"))
    for split in shared:
        assert sorted(case[0] for case in split.test) == ["n", "n", "t", "t"]
    assert {c for s in shared for c in s.test} == {case.id for case in cases}
    normals = [{c for c in split.test if c.startswith("n")} for split in hard]
    assert normals[0] == normals[1]


# labels of many organs


def write_organs(root, *, seed=0, case="amos_0001", names=("spleen", "pancreas", "duodenum")):
    """A data set of nnU-Net whose labels are organs; each is a cube."""
    label, image = np.zeros(SHAPE, np.uint8), np.random.default_rng(seed)
    for id_ in range(1, len(names) + 1):
        label[2 * id_ : 2 * id_ + 2, 2:6, 2:6] = id_
    for folder, ending, array in (
        ("imagesTr", "_0000", image.integers(-1000, 1000, SHAPE).astype(np.int16)),
        ("labelsTr", "", label),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, AFFINE), root / folder / f"{case}{ending}.nii.gz")
    ids = {"background": 0} | {name: id_ for id_, name in enumerate(names, start=1)}
    write_description(root, ids)
    return root


def test_a_data_set_of_many_organs_is_read_once_the_user_says_what_they_are(data, tmp_path):
    organs, cache = write_organs(tmp_path / "amos"), tmp_path / "cache"
    hint = "--labels 'spleen=pancreas|tumor|ignore|background,*=background'"
    with refused(organs / "dataset.json", "'spleen', 'duodenum' are not known", hint=hint):
        prepare([data, organs], cache, CFG)
    assert prepare([data, organs], cache, CFG, labels="*=background") == 0
    cases = {case.id: case for case in load([cache], CFG, tmp_path)}
    assert len(cases["amos_0001"].pancreas_voxels) == 2 * 4 * 4
    labels = {root.name: part.provenance for root, part in read_index(named(cache)).items()}
    said = {"spleen": "background", "duodenum": "background"}
    assert labels == {"data": {}, "amos": {"labels": said}}


def named(cache):
    return cache / fingerprint(CFG)


def test_the_same_cache_takes_other_words_for_another_data_set(data, tmp_path):
    cache, organs = tmp_path / "cache", write_organs(tmp_path / "amos")
    prepare([data], cache, CFG)
    prepare([organs], cache, CFG, labels="spleen=tumor,duodenum=ignore")
    cases = {case.id: case for case in load([cache], CFG, tmp_path)}
    assert sorted(cases) == ["a", "amos_0001", "b"]
    assert set(np.unique(cases["amos_0001"].label)) == {0, PANCREAS, TUMOR, IGNORE}
    assert set(np.unique(cases["a"].label)) == {0, PANCREAS, TUMOR}


def test_a_cache_of_other_labels_is_not_reused(tmp_path):
    organs, cache = write_organs(tmp_path / "amos"), tmp_path / "cache"
    prepare([organs], cache, CFG, labels="spleen=tumor,*=background")
    hint = "prepare the data sets again"
    with refused(named(cache), "--labels spleen=tumor,duodenum=background", hint=hint):
        find_cache([cache], CFG, tmp_path, labels="spleen=tumor,duodenum=ignore")
    with refused(named(cache), "was prepared with --labels", hint=hint):
        find_cache([cache], CFG, tmp_path, labels="")
    for same in ("spleen=tumor,*=background", "spleen=tumor,duodenum=background", None):
        assert find_cache([cache], CFG, tmp_path, labels=same) == named(cache)
    prepare([organs], cache, CFG, labels="duodenum=tumor,*=background")
    (case,) = load([cache], CFG, tmp_path)
    assert case.tumor_box.start[2] == SHAPE[0] - 8


def test_a_study_wants_the_words_that_its_cache_was_prepared_with(tmp_path):
    organs, cache = write_organs(tmp_path / "amos"), tmp_path / "cache"
    prepare([organs], cache, CFG, labels="spleen=tumor,*=background")
    with refused(named(cache), "was prepared with --labels", hint="say the same"):
        study("pdac", [organs], tmp_path / "study", recipes=["tiny-16"], cache=cache)


def test_words_about_labels_are_for_data_sets(tmp_path):
    with refused(None, "--labels is for --held-out"):
        screen([tmp_path], runs=[], out=tmp_path / "out", labels="*=background")


# all public layouts in one cache


def test_public_data_sets_share_a_cache(tmp_path):
    panorama, pants, atlas, total, nih = (tmp_path / name for name in "abcde")
    write_panorama(panorama, "100000_00001", "batch_3/batch_3", seed=1, axes="LPS", codes=(1, 0))
    write_panorama(panorama, "100009_00001", seed=2)
    rows = (("100000_00001", "PDAC", "radiology"), ("100009_00001", "PDAC", "MSD_dataset"))
    write_table(panorama, *rows)
    write_pants(pants, "PanTS_00000001", seed=3)
    save(atlas / "BDMAP_00000001/ct.nii.gz", image(4))
    write_masks(atlas / "BDMAP_00000001", {"pancreas": box(2, 6)})
    save(total / "s0001/ct.nii.gz", image(5))
    write_masks(total / "s0001", {"pancreas": box(0, 0), "liver": box(0, 4)})
    write_nih_case(nih, "0001")
    roots = [panorama, pants, atlas, total, nih]
    assert prepare(roots, tmp_path / "cache", CFG, exclude_overlap=True) == 0
    cases = {case.id: case for case in load([tmp_path / "cache"], CFG, tmp_path)}
    abnormal = {"100000_00001": True, "BDMAP_00000001": False, "PANCREAS_0001": False}
    abnormal |= {"PanTS_00000001": True, "s0001": False}
    assert {id_: case.is_abnormal for id_, case in cases.items()} == abnormal
    assert cases["s0001"].pancreas_box is None


def test_a_table_says_that_patients_of_two_data_sets_are_one(data, tmp_path):
    write_nih_case(tmp_path / "nih", "0001")
    (tmp_path / "who.csv").write_text("case,patient\na,p\nb,q\nPANCREAS_0001,q\n")
    roots, cache = [data, tmp_path / "nih"], tmp_path / "cache"
    prepare(roots, cache, CFG, patients=tmp_path / "who.csv")
    patients = {case.id: case.patient for case in load([cache], CFG, tmp_path)}
    assert patients == {"a": "p", "b": "q", "PANCREAS_0001": "q"}
