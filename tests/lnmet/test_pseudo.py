"""Data sets of predicted labels."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from core.datasets.read import read_dataset
from core.io import nifti
from core.volume import reorient
from lnmet import pseudo as module
from lnmet.cases import read_cases
from lnmet.labels import IGNORE, METASTATIC, NODE, PANCREAS, PDAC
from lnmet.pseudo import merged, pseudo
from lnmet.raw import copy_splits
from tests.lnmet.tiny import volume, write_predictions, write_raw
from tests.refusals import refused

SHAPE = (4, 5, 6)
AORTA = 4


def image(hu: int, *, z_mm: float = 0.0):
    return volume(np.full(SHAPE, hu, np.int16), z_mm=z_mm)


def label(**where):
    """Label map whose slices have ids: label(_0=3) has id 3 in slice 0."""
    array = np.zeros(SHAPE, np.uint8)
    for name, id_ in where.items():
        array[int(name[1:])] = id_
    return volume(array)


def ids_by_slice(path: Path) -> list[int]:
    array = nifti.read_label(path).array
    assert all(len(np.unique(section)) == 1 for section in array)
    return array[:, 0, 0].tolist()


@pytest.fixture
def images() -> dict:
    return {case: [image(10), image(20)] for case in ("a", "b")}


def test_predictions_of_one_phase_become_labels_of_that_phase(tmp_path, images):
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(tmp_path / "pred", {"a": label(_1=PDAC), "b": label(_2=PDAC)})
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    dataset = read_dataset(tmp_path / "new")
    assert (dataset.channels, dataset.skipped) == (("arterial CT",), ())
    assert dataset.label_ids == {"background": 0, "PDAC": 1}
    cases = read_cases(tmp_path / "new").cases
    assert [(case.id, case.phases, case.annotated) for case in cases] == [
        (name, ("arterial",), {PDAC}) for name in ("a", "b")
    ]
    (read,), annotated = cases[0].read()
    assert (read.array == 10).all()
    assert np.unique(annotated.array[1]).tolist() == [PDAC]
    assert np.count_nonzero(annotated.array) == annotated.array[1].size


def test_images_are_links_or_copies(tmp_path, images, monkeypatch):
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(tmp_path / "pred", {case: label(_1=PDAC) for case in images})
    assert pseudo(data, pred=pred, out=tmp_path / "linked") == 0

    def another_disk(source, target):
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(module.os, "link", another_disk)
    assert pseudo(data, pred=pred, out=tmp_path / "copied") == 0
    (source, linked, copied) = (
        root / "imagesTr" / "a_0000.nii.gz"
        for root in (data, tmp_path / "linked", tmp_path / "copied")
    )
    assert source.samefile(linked)
    assert not source.samefile(copied)
    assert source.read_bytes() == copied.read_bytes()


def test_predictions_in_both_phases_keep_both(tmp_path, images):
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(
        tmp_path / "pred",
        {case: label(_1=AORTA) for case in images},
        classes=("aorta", "CHA&PHA"),
        phases=("arterial", "venous"),
    )
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    (case, _) = read_cases(tmp_path / "new").cases
    assert case.phases == ("arterial", "venous")
    assert case.annotated == {AORTA, 10}
    assert [volume.array.max() for volume in case.read()[0]] == [10, 20]


def test_own_annotation_wins_and_predictions_fill_what_it_does_not_name(tmp_path, images):
    own = {"a": label(_0=1, _1=2), "b": label(_3=1)}
    data = write_raw(tmp_path / "data", images, own, {"stomach": 1, "aorta": 2})
    folds = [{"train": ["a"], "val": ["b"]}]
    (data / "splits_final.json").write_text(json.dumps(folds))
    predicted = {
        "a": label(_1=9, _2=9, _3=AORTA),  # LGA over the aorta, LGA, and an aorta
        "b": label(_0=10),
    }
    pred = write_predictions(
        tmp_path / "pred",
        predicted,
        classes=("aorta", "LGA", "CHA&PHA"),
        phases=("arterial", "venous"),
    )
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    names = ["background", "stomach", "aorta", "LGA", "CHA&PHA"]
    assert read_dataset(tmp_path / "new").label_ids == {name: n for n, name in enumerate(names)}
    labels = tmp_path / "new" / "labelsTr"
    assert ids_by_slice(labels / "a.nii.gz") == [1, 2, 3, 0]
    assert ids_by_slice(labels / "b.nii.gz") == [4, 0, 0, 1]
    assert json.loads((tmp_path / "new" / "splits_final.json").read_text()) == folds


def test_merging_voxel_by_voxel():
    def line(*ids: int) -> np.ndarray:
        return np.array(ids, np.uint8).reshape(1, 1, -1)

    own = line(0, PANCREAS, PANCREAS, AORTA, 0, IGNORE, METASTATIC)
    predicted = line(PDAC, PDAC, AORTA, PDAC, NODE, PDAC, PDAC)
    known = frozenset({PANCREAS, AORTA, METASTATIC})
    # A tumor is a part of the pancreas, and nodes of either status are nodes.
    expected = line(PDAC, PDAC, PANCREAS, AORTA, 0, IGNORE, METASTATIC)
    np.testing.assert_array_equal(merged(own, predicted, known), expected)


def test_voxels_to_ignore_keep_their_meaning(tmp_path, images):
    own = {case: label(_0=1, _1=7) for case in images}
    data = write_raw(tmp_path / "data", images, own, {"aorta": 1, "ignore": 7})
    pred = write_predictions(
        tmp_path / "pred",
        {case: label(_1=PDAC, _2=PDAC) for case in images},
        phases=("arterial", "venous"),
    )
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    assert read_dataset(tmp_path / "new").label_ids["ignore"] == 3
    (case, _) = read_cases(tmp_path / "new").cases
    assert case.read_label().array[:, 0, 0].tolist() == [AORTA, IGNORE, PDAC, 0]


def test_venous_labels_are_no_labels_of_arterial_predictions(tmp_path, images, caplog):
    own = {case: label(_0=1) for case in images}
    data = write_raw(tmp_path / "data", images, own, {"PDAC": 1})
    pred = write_predictions(tmp_path / "pred", {case: label(_2=PDAC) for case in images})
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    assert ids_by_slice(tmp_path / "new" / "labelsTr" / "a.nii.gz") == [0, 0, 1, 0]
    assert "its labels are of the venous phase, and left out" in caplog.text


def test_labels_of_an_arterial_data_set_are(tmp_path):
    images = {"a": [image(10)], "b": [image(11)]}
    data = write_raw(
        tmp_path / "data", images, {"a": label(_0=1)}, {"PDAC": 1}, channels=["arterial"]
    )
    pred = write_predictions(tmp_path / "pred", {case: label(_2=PDAC) for case in images})
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    labels = tmp_path / "new" / "labelsTr"
    assert ids_by_slice(labels / "a.nii.gz") == [1, 0, 0, 0]
    assert ids_by_slice(labels / "b.nii.gz") == [0, 0, 1, 0]


def test_axes_of_a_prediction_are_those_of_its_image(tmp_path):
    data = write_raw(tmp_path / "data", {"a": [image(10), image(20)]}, {}, {})
    turned = reorient(label(_1=PDAC), np.diag([-1.0, 1.0, -1.0]))
    pred = write_predictions(tmp_path / "pred", {"a": turned})
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 0
    assert ids_by_slice(tmp_path / "new" / "labelsTr" / "a.nii.gz") == [0, 1, 0, 0]


def test_msd_files_and_plain_files_get_channels(tmp_path):
    for name in ("pancreas_1.nii.gz", "pancreas_2.nii"):
        nifti.write(tmp_path / "scans" / name, image(10))
    pred = write_predictions(
        tmp_path / "pred",
        {f"pancreas_{n}": label(_1=PDAC) for n in (1, 2)},
        phases=("venous",),
    )
    assert pseudo(tmp_path / "scans", pred=pred, out=tmp_path / "new") == 0
    names = [path.name for path in sorted((tmp_path / "new" / "imagesTr").iterdir())]
    assert names == ["pancreas_1_0000.nii.gz", "pancreas_2_0000.nii.gz"]
    assert read_dataset(tmp_path / "new").channels == ("venous CT",)


def test_what_has_no_prediction_is_left_out_and_told(tmp_path, caplog):
    images = {case: [image(10), image(20)] for case in ("a", "b", "c", "d")}
    data = write_raw(tmp_path / "data", images, {}, {})
    small = volume(np.zeros((2, 2, 2), np.uint8))
    pred = write_predictions(tmp_path / "pred", {"a": label(_1=PDAC), "b": None, "c": small})
    with caplog.at_level(logging.INFO):
        assert pseudo(data, pred=pred, out=tmp_path / "new") == 1
    assert [case.id for case in read_dataset(tmp_path / "new").cases] == ["a"]
    assert not read_dataset(tmp_path / "new").skipped
    for reason in ("failed on case b", "c_0000.nii.gz: shape", "was not asked for case d"):
        assert reason in caplog.text


def test_a_case_that_nobody_annotated_needs_a_prediction_of_every_class(tmp_path, images, caplog):
    data = write_raw(tmp_path / "data", images, {"a": label(_0=1)}, {"aorta": 1})
    pred = write_predictions(
        tmp_path / "pred",
        {case: label(_2=PDAC) for case in images},
        phases=("arterial", "venous"),
    )
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 1
    assert [case.id for case in read_dataset(tmp_path / "new").cases] == ["a"]
    assert "has no label, and aorta is not predicted" in caplog.text


def test_phases_that_are_not_on_one_grid_need_registration(tmp_path, caplog):
    images = {"a": [image(10, z_mm=30.0), image(20)], "b": [image(10), image(20)]}
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(
        tmp_path / "pred",
        {case: label(_1=PDAC) for case in images},
        phases=("arterial", "venous"),
    )
    assert pseudo(data, pred=pred, out=tmp_path / "new") == 1
    assert "is not on the grid of the venous phase" in caplog.text


def test_nothing_to_write_is_refused_and_leaves_nothing(tmp_path, images):
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(tmp_path / "pred", {"a": None})
    with refused(pred, "no examination has a label", hint="failed on case a"):
        pseudo(data, pred=pred, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_another_folder_than_of_segment_is_refused(tmp_path, images):
    data = write_raw(tmp_path / "data", images, {}, {})
    with refused(data, "holds no results.json", hint="--out of lnmet segment"):
        pseudo(data, pred=data, out=tmp_path / "new")
    write_predictions(tmp_path / "pred", {"a": label()})
    stored = json.loads((tmp_path / "pred" / "results.json").read_text())
    del stored["classes"]
    (tmp_path / "pred" / "results.json").write_text(json.dumps(stored))
    with refused(tmp_path / "pred", "tells no classes", hint="--out of lnmet segment"):
        pseudo(data, pred=tmp_path / "pred", out=tmp_path / "new")


def test_a_folder_that_holds_something_is_refused(tmp_path, images):
    data = write_raw(tmp_path / "data", images, {}, {})
    pred = write_predictions(tmp_path / "pred", {case: label(_1=PDAC) for case in images})
    with refused(data, "already holds something", hint="new folder"):
        pseudo(data, pred=pred, out=data)


def test_folds_are_copied_in_whichever_form_their_names_are(tmp_path):
    folds = [{"train": ["Jose\u0301", "lost"], "val": ["b"]}]
    (tmp_path / "splits_final.json").write_text(json.dumps(folds))
    copy_splits(tmp_path, tmp_path / "new", ["Jos\u00e9", "b"])
    copied = json.loads((tmp_path / "new" / "splits_final.json").read_text("utf-8"))
    assert copied == [{"train": ["Jos\u00e9"], "val": ["b"]}]
