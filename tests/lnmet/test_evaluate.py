"""Rates of patients, paired tests, and the tables beside the paper's."""

import numpy as np
import pytest

from core.metrics import detection
from lnmet.config import ORGANS
from lnmet.evaluate import (
    COMPARED,
    NODE_RATES,
    PAPER,
    compare,
    node_row,
    organ_names,
    summarize_segmentation,
)
from lnmet.evaluation_page import (
    PAPER_TABLE_3,
    PAPER_TABLE_5,
    main_table,
    table_3,
    table_5,
    table_pdac,
)
from lnmet.labels import METASTATIC, NODE, PDAC


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
    assert PAPER.as_error({"has_nodes": True}) == dict.fromkeys(NODE_RATES, 0.0)
    assert PAPER.as_error({"has_nodes": False}) == {}
    assert set(NODE_RATES) == {f"node_{name}" for name in detection.RATES}


def test_systems_are_compared_on_the_patients_of_both():
    rng = np.random.default_rng(0)
    rows = []
    for i in range(20):
        value = rng.uniform(0.2, 0.6)
        rows.append(row("with", str(i), **dict.fromkeys(COMPARED, value + 0.1)))
        rows.append(row("without", str(i), **dict.fromkeys(COMPARED, value)))
    rows.append(row("with", "alone", **dict.fromkeys(COMPARED, 0.0)))
    rows.append(row("with", "0", **dict.fromkeys(COMPARED, 0.0)) | {"part": "train"})
    first, second = compare(rows)
    assert (first["first"], first["second"], first["name"]) == ("with", "without", COMPARED[0])
    assert first["mean_difference"] == pytest.approx(0.1)
    assert first["num"] == 20
    assert first["p_value"] < 0.001
    assert first["median_bootstrap_p_value"] < 0.05
    assert second["name"] == COMPARED[1]


def test_one_system_is_compared_with_none():
    assert compare([row("with", "a", node_dice=0.5)]) == []


def test_tables_stand_beside_the_papers():
    summary = {name: 0.5 for name in NODE_RATES}
    metrics = {"groups": {"nodes": summary, "organs": {}}, "summary": {}}
    table = table_5(metrics)
    assert table.columns == ("", "ours, nodes", *PAPER_TABLE_5)
    assert [cells[1] for cells in table.rows] == ["50.0 %"] * 6
    assert table.rows[3][2:] == ("36.1 %", "40.6 %")
    metrics["summary"] = dict(zip(organ_names("LGA"), (0.7, 1.0, 9.0), strict=True))
    rows = {cells[0]: cells for cells in table_3(metrics).rows}
    assert list(rows) == list(ORGANS) == list(PAPER_TABLE_3)
    assert rows["LGA"] == ("LGA", 0.7, 1.0, 9.0, 0.651, 0.371, 10.420)
    assert np.isnan(rows["spleen"][1])


def test_what_was_looked_for_decides_which_table_is_printed():
    summary = {"pdac_dsc_median": 0.6, **dict.fromkeys(NODE_RATES, 0.5)}
    metrics = {"groups": {"g": summary}, "summary": summary}
    for columns, table in (
        ({"node_dice": 0.5, "spleen_dsc": 0.9}, table_5),
        ({"spleen_dsc": 0.9, "pdac_dsc": 0.6}, table_3),
        ({"pdac_dsc": 0.6}, table_pdac),
    ):
        rows = metrics | {"rows": [row("g", "a", **columns)]}
        assert main_table(rows).columns == table(rows).columns
    assert list(table_pdac(metrics).rows[0]) == ["Dice", 0.6, 0.683]
