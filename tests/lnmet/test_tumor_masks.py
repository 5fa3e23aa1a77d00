"""Masks of the tumor and tables of the status that are kept apart from a data set."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from core.data.index import read_index
from core.io import nifti
from lnmet.cases import read_cases
from lnmet.config import PrepareConfig
from lnmet.label_files import SEGMENTATION, map_of
from lnmet.labels import METASTATIC, NODE, PANCREAS, PDAC
from lnmet.prepare import cache_name, open_cases, prepare
from lnmet.tumor_masks import tumor_masks
from tests.lnmet.tiny import volume, write_predictions, write_raw
from tests.refusals import refused

SHAPE = (4, 6, 8)
CFG = PrepareConfig(spacing_mm=(2.0, 1.0, 1.0))
IDS = {"pancreas": 1, "lymph node": 2}


def filled(*boxes: tuple[tuple[slice, ...], int]) -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    for box, id_ in boxes:
        label[box] = id_
    return label


GLAND, LYMPH, TUMOR = np.s_[1:3, 1:4, 1:5], np.s_[1:3, 4, 4], np.s_[1:3, 2:5, 3:7]


@pytest.fixture
def data(tmp_path) -> Path:
    """Two cases whose pancreas and node are annotated; the tumor reaches into both."""
    label = volume(filled((GLAND, 1), (LYMPH, 2)))
    drawn = (volume(np.random.default_rng(seed).integers(0, 99, SHAPE)) for seed in (0, 1))
    images = {name: [image, image] for name, image in zip("ab", drawn, strict=True)}
    return write_raw(tmp_path / "data", images, dict.fromkeys("ab", label), IDS)


@pytest.fixture
def masks(tmp_path) -> Path:
    nifti.write(tmp_path / "masks" / "a.nii.gz", volume(filled((TUMOR, 1))))
    return tmp_path / "masks"


EXPECTED = filled((GLAND, PANCREAS), (TUMOR, PDAC), (LYMPH, NODE))


def test_a_mask_lies_over_organs_and_under_nodes(data, masks):
    with_mask, without = read_cases(data, pdac=tumor_masks(masks)).cases
    np.testing.assert_array_equal(with_mask.read_label().array, EXPECTED)
    assert with_mask.annotated == {PANCREAS, NODE, PDAC}
    assert masks / "a.nii.gz" in with_mask.files
    assert without.annotated == {PANCREAS, NODE}


def test_segmentations_serve_as_masks(data, tmp_path):
    label = volume(filled((GLAND, PANCREAS), (TUMOR, PDAC)))
    out = write_predictions(tmp_path / "out", {"a": label})
    case = read_cases(data, pdac=tumor_masks(out)).cases[0]
    np.testing.assert_array_equal(case.read_label().array, EXPECTED)


def test_a_tumor_that_the_data_set_names_is_left_as_it_is(tmp_path, masks):
    own = volume(filled((GLAND, 1), (np.s_[1, 2, 3], 2)))
    image = volume(np.zeros(SHAPE, np.int16))
    named = {"pancreas": 1, "PDAC": 2}
    data = write_raw(tmp_path / "named", {"a": [image, image]}, {"a": own}, named)
    (case,) = read_cases(data, pdac=tumor_masks(masks)).cases
    assert np.count_nonzero(case.read_label().array == PDAC) == 1
    assert masks / "a.nii.gz" not in case.files


def test_what_is_no_mask_is_refused(data, tmp_path):
    with refused(tmp_path / "nowhere", "no such folder"):
        tumor_masks(tmp_path / "nowhere")
    path = nifti.write(tmp_path / "ids" / "a.nii.gz", volume(filled((TUMOR, 3))))
    case = read_cases(data, pdac=tumor_masks(path.parent)).cases[0]
    with refused(path, "[3]", hint="another data set"):
        case.read_label()


def test_cases_without_a_mask_are_prepared_and_named(data, masks, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    assert not prepare([data], tmp_path / "cache", CFG, pdac=masks)
    a, b = open_cases(tmp_path / "cache" / cache_name(CFG))
    assert a.tumor is not None
    # 2 slices of 3 rows and 4 columns but for the node, at d 1 and 2, h 2 … 4, w 3 … 6.
    assert a.tumor.center == (2, 3, 5)
    assert b.tumor is None
    assert "no mask of the tumor of b" in caplog.text
    assert "status cannot be trained: no patient is known" in caplog.text


@pytest.fixture
def table(tmp_path) -> Path:
    path = tmp_path / "pathology.csv"
    path.write_text("patient,status,ct_reported\na,pN1,0\nb,pN0,\n")
    return path


def test_a_table_is_kept_in_the_index_and_mended_without_a_new_reading(data, tmp_path, table):
    prepare([data], tmp_path / "cache", CFG, status=table)
    folder = tmp_path / "cache" / cache_name(CFG)
    a, b = open_cases(folder)
    assert (a.status, a.ct_reported, b.status, b.ct_reported) == (True, False, False, None)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/case.json")}
    table.write_text("patient,status\nb,\n")
    prepare([data], tmp_path / "cache", CFG, status=table)
    assert [case.status for case in open_cases(folder)] == [None, None]
    assert {path: path.stat().st_mtime_ns for path in before} == before
    (contents,) = read_index(folder).values()
    assert contents.cases["b"].facts == {"status": None, "ct_reported": None}


def test_a_given_table_comes_before_the_data_set_s_own(data, tmp_path, table):
    (data / "status.csv").write_text("patient,status\na,0\n")
    for given, expected in ((None, [False, None]), (table, [True, False])):
        prepare([data], tmp_path / "cache", CFG, status=given)
        cases = open_cases(tmp_path / "cache" / cache_name(CFG))
        assert [case.status for case in cases] == expected


def test_a_table_that_contradicts_an_annotated_node_is_warned_of(data, tmp_path, caplog):
    description = json.loads((data / "dataset.json").read_text())
    description["labels"] = {"background": 0, "pancreas": 1, "metastatic lymph node": 2}
    (data / "dataset.json").write_text(json.dumps(description))
    (data / "status.csv").write_text("patient,status\nb,pN0\n")
    prepare([data], tmp_path / "cache", CFG)
    a, b = open_cases(tmp_path / "cache" / cache_name(CFG))
    assert METASTATIC in a.annotated
    assert (a.status, b.status) == (True, False)
    assert "negative by the table, but with an annotated metastatic node: b" in caplog.text


def test_a_map_is_found_in_whichever_form_its_name_is(tmp_path):
    for path in (
        tmp_path / "a" / "Jose\u0301.nii.gz",
        tmp_path / "b/cases/Jose\u0301" / SEGMENTATION,
    ):
        path.parent.mkdir(parents=True)
        path.touch()
        folder = path.parents[len(path.relative_to(tmp_path).parts) - 2]
        assert map_of(folder, "Jos\u00e9") == path
