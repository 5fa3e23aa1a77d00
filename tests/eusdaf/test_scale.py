"""Which scale a lesion has where a screen shows several scans."""

import numpy as np
import pytest

from core.volume import Frame, Region
from eusdaf.scale import scale_under

GRAY = np.zeros((40, 80), np.uint8)
LEFT = Region((0, 30), (0, 40), (0.1, 0.1))
RIGHT = Region((0, 30), (40, 80), (0.2, 0.2))
NEARLY_LEFT = Region((0, 30), (40, 80), (0.10001, 0.1))


def box(rows, columns):
    lesion = np.zeros(GRAY.shape, bool)
    lesion[slice(*rows), slice(*columns)] = True
    return lesion


@pytest.mark.parametrize(
    ("columns", "spacing", "origin"),
    [
        ((5, 20), (0.1, 0.1), "of ultrasound region 1 of 2"),
        ((50, 60), (0.2, 0.2), "of ultrasound region 2 of 2"),
        ((30, 41), None, "none: the lesion lies in ultrasound regions of different scale"),
    ],
)
def test_the_region_under_the_lesion_gives_the_scale(columns, spacing, origin):
    frame = Frame(GRAY, regions=(LEFT, RIGHT))
    assert scale_under(frame, box((5, 15), columns)) == (spacing, origin)


def test_regions_of_one_scale_are_one():
    frame = Frame(GRAY, regions=(LEFT, NEARLY_LEFT))
    scale = scale_under(frame, box((5, 15), (30, 45)))
    assert scale == ((0.1, 0.1), "of ultrasound region 1 of 2")


@pytest.mark.parametrize(("rows", "is_known"), [((25, 33), True), ((28, 40), False)])
def test_a_lesion_mostly_outside_has_none(rows, is_known):
    scale = scale_under(Frame(GRAY, (9, 9), regions=(LEFT,)), box(rows, (5, 10)))
    outside = "none: the lesion lies outside the ultrasound regions"
    assert scale == (((0.1, 0.1), "of ultrasound region 1 of 1") if is_known else (None, outside))


def test_without_regions_the_scale_is_that_of_the_picture_or_none():
    lesion = box((5, 15), (5, 15))
    assert scale_under(Frame(GRAY, (0.3, 0.4)), lesion) == ((0.3, 0.4), "of the picture")
    assert scale_under(Frame(GRAY), lesion) == (None, "none: the file tells none")
