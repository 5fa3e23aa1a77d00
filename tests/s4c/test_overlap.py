"""Overlap of labels, counted where somebody annotated."""

import math

import numpy as np
import pytest

from core.datasets.pancreas import IGNORE, PANCREAS, TUMOR
from s4c.overlap import overlap


def line(*runs):
    return np.repeat(*zip(*runs, strict=True)).astype(np.uint8)


def test_the_pancreas_holds_its_tumor():
    found = overlap(line((PANCREAS, 10)), line((TUMOR, 4), (PANCREAS, 6)))
    assert found == (1, 0)
    assert math.isnan(overlap(line((PANCREAS, 10)), line((PANCREAS, 10))).tumor)


def test_voxels_that_nobody_annotated_count_nowhere():
    true = line((IGNORE, 10), (TUMOR, 4), (PANCREAS, 6))
    known = line((0, 10), (TUMOR, 2), (PANCREAS, 6), (0, 2))
    expected = pytest.approx((2 * 8 / 18, 2 * 2 / 6))
    for guess in (0, PANCREAS, TUMOR):
        assert overlap(np.where(true == IGNORE, guess, known), true) == expected
