"""The page of a screened patient: tumors as findings, in the package's colors, phase by phase."""

import json
import re

import numpy as np
import pytest

from core.datasets.pancreas import DUCT, PANCREAS, TUMOR
from core.volume import CANONICAL_DIRECTION, Volume
from s4c.case_page import case_page, shown_scan
from s4c.report import CLASSES

SCAN = Volume(np.zeros((12, 14, 16), np.int16), (2.0, 1.0, 1.0), (5, 6, 7), CANONICAL_DIRECTION)
PRED = np.zeros(SCAN.shape, np.uint8)
PRED[4:8, 4:8, 4:8] = PANCREAS
PRED[5:7, 5:7, 5:7] = TUMOR
ROW = {
    "decision": "PDAC",
    "score": 0.75,
    "num_tumor_voxels": 8,
    "tumor_ml": 0.016,
    "pancreas_ml": 0.128,
    "num_duct_voxels": None,
    "duct_ml": None,
    "note": "no DICOM-SEG: <why>",
}


def findings(page):
    return re.findall(r'name="finding"[^>]*>(.*?)<', page)


def scene(page):
    return json.loads(re.search(r'id="scene">(.*?)</script>', page)[1])


def test_tumors_are_findings_and_the_pancreas_is_none():
    page = case_page("scan", [shown_scan(SCAN, PRED, phase=None, num_scans=1)], ROW)
    assert findings(page) == ["tumor 1"]
    # The first of the eight voxels, all as near to the middle.
    assert scene(page)["start"] == pytest.approx([5 + 5.0, 6 + 5.0, 7 + 2 * 5.0])
    assert scene(page)["classes"] == {
        str(id_): {"name": of.name, "color": of.color}
        for id_, of in CLASSES.items()
        if id_ != DUCT  # these networks know none
    }
    for text in ("PDAC", "0.750", "8 voxels", "no DICOM-SEG: &lt;why&gt;"):
        assert text in page


def test_both_phases_are_side_by_side_and_findings_tell_theirs():
    dilated = np.where(PRED == TUMOR, DUCT, PRED).astype(np.uint8)
    scans = [
        shown_scan(SCAN, pred, phase=phase, num_scans=2)
        for phase, pred in (("arterial", PRED), ("venous", dilated))
    ]
    row = {**ROW, "num_duct_voxels": 8, "duct_ml": 0.016, "decided_by": "arterial"}
    page = case_page("patient", scans, row)
    assert re.findall(r"<h2>(.*? phase)</h2>", page) == ["arterial phase", "venous phase"]
    assert findings(page) == ["arterial phase, tumor 1", "venous phase, dilated duct 1"]
    assert "by the arterial phase" in page
    assert str(DUCT) in scene(page)["classes"]


def test_a_scan_without_tumor_has_no_findings():
    shown = shown_scan(SCAN, np.zeros_like(PRED), phase=None, num_scans=1)
    assert findings(case_page("scan", [shown], ROW)) == []
