"""Tumors that are more uneven where they have spread, and the table of who has metastatic nodes."""

import json
from math import erf, log

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from core.csv_io import read_rows
from core.metrics.classification import auc
from core.phantom.ct.cohort import (
    CT_SENSITIVITY,
    CT_SPECIFICITY,
    STATUS_TABLE,
    status_row,
    write_cohort,
)
from core.phantom.ct.nodes import draw_nodes
from core.phantom.ct.patient import draw_patient
from core.phantom.ct.phantom import LABELS, make
from core.phantom.ct.tissue import PHASES, TISSUES
from core.phantom.ct.tumor import MAX_MOTTLE_HU, MOTTLE_HU, MOTTLE_SPREAD, draw_texture

CALL = {"shape": (36, 52, 64), "spacing_mm": (3.0, 3.0, 3.0), "tumor_diameter_mm": 40.0}
TINY = {
    "shape": (2, 2, 2),
    "spacing_mm": (9.0, 9.0, 9.0),
    "labels": {"background": 0, "tumor": 1},
    "tumor_fraction": 1.0,
}


@pytest.mark.parametrize("seed", [0, 1])
def test_a_texture_of_its_own_changes_the_tumor_alone(seed):
    plain, uneven = make(seed, **CALL), make(seed, **CALL, metastatic_texture=True)
    np.testing.assert_array_equal(plain.label.array, uneven.label.array)
    tumor = plain.label.array == LABELS["tumor"]
    expected = draw_texture(draw_patient(seed), plain.is_metastatic).mottle_hu
    for phase in PHASES:
        change = uneven.images[phase].array - plain.images[phase].array.astype(np.float64)
        # The border fades over 1.5 mm and a voxel of 3 mm.
        assert not change[~binary_dilation(tumor, iterations=2)].any()
        # The noise is the same: what is left is one mottle less another. A tumor of 40 mm holds
        # about 60 grains of either, whose deviation is known to about a tenth, twice.
        deviation = change[binary_erosion(tumor)].std()
        assert deviation == pytest.approx(np.hypot(expected, TISSUES["tumor"].mottle_hu), rel=0.3)


def test_the_texture_tells_who_has_spread_but_not_always():
    patients = [draw_patient(seed) for seed in range(300)]
    spread = np.arange(300) % 2 == 1
    textures = [draw_texture(p, bool(s)) for p, s in zip(patients, spread, strict=True)]
    mottle_hu = np.array([t.mottle_hu for t in textures])
    assert mottle_hu.max() <= MAX_MOTTLE_HU
    # Of two normal logarithms, Φ(difference / (σ √2)) with Φ(z) = (1 + erf(z / √2)) / 2.
    difference = log(MOTTLE_HU[True] / MOTTLE_HU[False])
    expected = (1 + erf(difference / (2 * MOTTLE_SPREAD))) / 2
    # Three standard errors of an AUC of 150 and 150, each at most √(A (1 − A) / 150).
    assert auc(mottle_hu, spread) == pytest.approx(expected, abs=3 * (0.07 * 0.93 / 150) ** 0.5)
    coarse = np.array([t.mottle_mm for t in textures])
    np.testing.assert_allclose(coarse**2 / mottle_hu, coarse[0] ** 2 / mottle_hu[0])


def test_a_reading_errs_as_often_as_radiologists_do():
    patients = [draw_patient(seed) for seed in range(400)]
    metastatic = [sum(n.metastatic for n in draw_nodes(p, with_tumor=True)) for p in patients]
    rows = [
        status_row({"id": "a", "seed": p.seed, "num_metastatic_nodes": num})
        for p, num in zip(patients, metastatic, strict=True)
    ]
    status, read = (np.array([row[c] for row in rows]) for c in ("status", "ct_reported"))
    np.testing.assert_array_equal(status, np.array(metastatic) > 0)
    # 0.6 have spread, of 5 … 11 nodes with 0.4 each one is metastatic at least.
    share = 0.6 * (1 - np.mean([0.6**n for n in range(5, 12)]))

    def three_errors(p: float, num: int) -> float:
        return 3 * (p * (1 - p) / num) ** 0.5

    assert status.mean() == pytest.approx(share, abs=three_errors(share, len(status)))
    for value, rate in ((1, CT_SENSITIVITY), (0, CT_SPECIFICITY)):
        right = (read == status)[status == value]
        assert right.mean() == pytest.approx(rate, abs=three_errors(rate, len(right)))


def test_a_cohort_has_a_table_where_it_is_asked_for(tmp_path):
    root = write_cohort(tmp_path / "with", num_cases=2, seed=3, status_table=True, **TINY)
    cases = json.loads((root / "cases.json").read_text())["cases"]
    rows = [{name: str(value) for name, value in status_row(case).items()} for case in cases]
    assert read_rows(root / STATUS_TABLE) == rows
    root = write_cohort(tmp_path / "without", num_cases=1, seed=3, **TINY)
    assert not (root / STATUS_TABLE).exists()
