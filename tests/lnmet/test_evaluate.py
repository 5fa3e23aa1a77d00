"""Rates of patients, paired tests, and the tables beside the paper's."""

from types import SimpleNamespace

import numpy as np
import pytest

from core.commands.evaluate import Prediction, Truth
from core.io import nifti
from core.metrics import detection
from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.config import ORGANS
from lnmet.evaluate import PAPER, compare, organ_names, summarize_segmentation
from lnmet.evaluation_page import (
    PAPER_TABLE_3,
    PAPER_TABLE_5,
    main_table,
    table_3,
    table_5,
    table_pdac,
)
from lnmet.label_files import SEGMENTATION
from lnmet.labels import IGNORE, METASTATIC, NODE, PDAC
from lnmet.node_evaluation import COMPARED, KINDS, node_row, rates_of


def label(*boxes: tuple[int, slice]) -> np.ndarray:
    """Label map of a line of voxels."""
    ids = np.zeros((1, 1, 40), np.uint8)
    for id_, where in boxes:
        ids[..., where] = id_
    return ids


def row(group: str, id_: str, **values: float) -> dict:
    known = {"group": group, "id": id_, "patient": id_, "status": "done", "part": None}
    return known | values


def test_nodes_of_either_status_count_alike():
    true = label((NODE, slice(0, 4)), (METASTATIC, slice(10, 14)), (PDAC, slice(20, 30)))
    pred = label((NODE, slice(1, 4)), (NODE, slice(13, 17)), (NODE, slice(35, 37)))
    rates = node_row(pred, true)
    # 3 of 4 voxels of the first: IoU 0.75; 1 of 7 of the second: too little.
    assert (rates["node_num_true"], rates["node_num_pred"], rates["node_num_found"]) == (2, 3, 1)
    assert rates["node_recall"] == pytest.approx(4 / 8)
    assert rates["node_precision"] == pytest.approx(4 / 9)
    assert rates["node_dice"] == pytest.approx(2 * 4 / 17)
    assert rates["node_instance_f"] == pytest.approx(2 / 5)


def test_an_iou_of_three_tenths_finds_a_node():
    true = label((NODE, slice(0, 10)))
    assert node_row(label((NODE, slice(0, 3))), true)["node_num_found"] == 1
    assert node_row(label((NODE, slice(0, 2))), true)["node_num_found"] == 0


def test_means_are_over_patients_and_medians_stand_beside():
    rows = [row("g", str(i), node_dice=v, pdac_dsc=v) for i, v in enumerate((0.0, 0.6, 0.9))]
    summary = summarize_segmentation(rows)
    assert summary["node_dice"] == pytest.approx(0.5)
    assert summary["pdac_dsc_median"] == pytest.approx(0.6)
    assert summary["num_patients"] == 3
    assert summary["node_dice_ci"].low <= 0.5 <= summary["node_dice_ci"].high


def test_a_failed_examination_with_nodes_has_none_found():
    rates = {f"node_{name}": 0.0 for name in detection.RATES}
    assert PAPER.as_error(row("organs + nodes", "a", has_nodes=True)) == rates
    assert PAPER.as_error(row("organs + nodes", "a", has_nodes=False)) == {}
    assert PAPER.as_error(row("organs", "a", has_nodes=True)) == {}


def test_a_failed_examination_has_nothing_found_of_the_kinds_that_it_has():
    shown = {"has_nodes": True, "has_positive_nodes": False, "has_negative_nodes": True}
    wrong = PAPER.as_error(row("nodes + identification", "a", **shown))
    assert wrong == dict.fromkeys([*rates_of("node"), *rates_of("negative_node")], 0.0)


def test_nodes_of_each_kind_are_rated_by_themselves():
    true = label((NODE, slice(0, 4)), (METASTATIC, slice(10, 14)))
    # The first is called metastatic, of the second one voxel less is found.
    pred = label((METASTATIC, slice(0, 4)), (METASTATIC, slice(10, 13)), (NODE, slice(30, 32)))
    rates = node_row(pred, true, list(KINDS))
    assert rates["node_instance_recall"] == 1
    assert rates["node_dice"] == pytest.approx(2 * 7 / (9 + 8))
    assert rates["positive_node_instance_recall"] == 1
    assert rates["positive_node_instance_precision"] == pytest.approx(1 / 2)
    assert rates["positive_node_dice"] == pytest.approx(2 * 3 / (7 + 4))
    assert rates["negative_node_instance_recall"] == 0
    assert rates["negative_node_instance_f"] == 0
    assert rates["negative_node_dice"] == 0


def test_a_patient_without_positive_nodes_has_no_recall_of_them():
    true, pred = label((NODE, slice(0, 4))), label((METASTATIC, slice(0, 4)))
    rates = node_row(pred, true, list(KINDS))
    assert np.isnan(rates["positive_node_recall"])
    assert np.isnan(rates["positive_node_instance_f"])
    assert rates["positive_node_instance_precision"] == 0
    nothing = node_row(label(), true, list(KINDS))
    assert np.isnan(nothing["positive_node_dice"])
    assert np.isnan(nothing["positive_node_instance_precision"])


def test_systems_are_compared_on_the_patients_of_both():
    rng, compared = np.random.default_rng(0), ("node_dice", "node_instance_f")
    assert set(compared) < set(COMPARED)
    rows = []
    for i in range(20):
        value = rng.uniform(0.2, 0.6)
        rows.append(row("with", str(i), **dict.fromkeys(compared, value + 0.1)))
        rows.append(row("without", str(i), **dict.fromkeys(compared, value)))
    rows.append(row("with", "alone", **dict.fromkeys(compared, 0.0)))
    rows.append(row("with", "0", **dict.fromkeys(compared, 0.0)) | {"part": "train"})
    first, second = compare(rows)
    assert (first["first"], first["second"], first["name"]) == ("with", "without", "node_dice")
    assert first["mean_difference"] == pytest.approx(0.1)
    assert first["num"] == 20
    assert first["p_value"] < 0.001
    assert first["median_bootstrap_p_value"] < 0.05
    assert second["name"] == "node_instance_f"


def test_one_system_is_compared_with_none():
    assert compare([row("with", "a", node_dice=0.5)]) == []


def test_tables_stand_beside_the_papers():
    summary = dict.fromkeys(rates_of("node"), 0.5)
    metrics = {"groups": {"nodes": summary, "organs": {}}, "summary": {}}
    table = table_5(metrics)
    assert table.columns == ("", "ours, nodes", *PAPER_TABLE_5["node"])
    assert [cells[1] for cells in table.rows] == ["50.0 %"] * 6
    assert table.rows[3][2:] == ("36.1 %", "40.6 %")
    metrics["summary"] = dict(zip(organ_names("LGA"), (0.7, 1.0, 9.0), strict=True))
    rows = {cells[0]: cells for cells in table_3(metrics).rows}
    assert list(rows) == list(ORGANS) == list(PAPER_TABLE_3)
    assert rows["LGA"] == ("LGA", 0.7, 1.0, 9.0, 0.651, 0.371, 10.420)
    assert np.isnan(rows["spleen"][1])


def test_rows_of_positive_and_negative_nodes_stand_below_where_they_are_told_apart():
    plain = dict.fromkeys(rates_of("node"), 0.5)
    aware = plain | dict.fromkeys([*rates_of("positive_node"), *rates_of("negative_node")], 0.25)
    table = table_5({"groups": {"nodes": plain, "nodes + identification": aware}})
    rows = {cells[0]: cells[1:] for cells in table.rows}
    assert len(rows) == 18
    assert rows["voxel Dice"] == ("50.0 %", "50.0 %", "45.9 %", "47.7 %")
    assert rows["positive: instance F"] == ("–", "25.0 %", "11.7 %", "13.5 %")
    assert rows["negative: voxel recall"] == ("–", "25.0 %", "51.1 %", "49.0 %")


def test_what_was_looked_for_decides_which_table_is_printed():
    summary = {"pdac_dsc_median": 0.6, **dict.fromkeys(rates_of("node"), 0.5)}
    metrics = {"groups": {"g": summary}, "summary": summary}
    for columns, table in (
        ({"node_dice": 0.5, "spleen_dsc": 0.9}, table_5),
        ({"spleen_dsc": 0.9, "pdac_dsc": 0.6}, table_3),
        ({"pdac_dsc": 0.6}, table_pdac),
    ):
        rows = metrics | {"rows": [row("g", "a", **columns)]}
        assert main_table(rows).columns == table(rows).columns
    assert list(table_pdac(metrics).rows[0]) == ["Dice", 0.6, 0.683]


def test_what_nobody_annotated_is_neither_missed_nor_a_false_alarm(tmp_path):
    true = label((NODE, slice(0, 4)), (PDAC, slice(20, 30)), (IGNORE, slice(31, 40)))
    known = label((NODE, slice(1, 4)), (PDAC, slice(20, 25)))
    guessed = label((NODE, slice(1, 4)), (PDAC, slice(20, 25)), (NODE, slice(31, 40)))

    def volume(array):
        return Volume(array, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)

    case = SimpleNamespace(annotated=frozenset({NODE, PDAC}), read_label=lambda: volume(true))
    rows = []
    for number, found in enumerate((known, guessed)):
        folder = tmp_path / str(number)
        nifti.write(folder / SEGMENTATION, volume(found))
        prediction = Prediction({}, folder, tmp_path, {"networks": "pdac + nodes"}, "g")
        rows.append(PAPER.measure(Truth("p", tmp_path, (), case), prediction))
    assert rows[0]["pdac_dsc"] == pytest.approx(2 * 5 / 15)
    np.testing.assert_equal(rows[1], rows[0])
