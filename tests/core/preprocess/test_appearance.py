"""What scans are like, and which ones are unlike those of a training."""

import numpy as np
import pytest

from core.preprocess.appearance import (
    EXTENT_FACTOR,
    HU_OFF,
    OWN_GRID,
    SOFT_TISSUE_HU,
    SPACING_FACTOR,
    Appearance,
    Seen,
    appearance_of,
    differences,
    seen_in,
)
from core.volume import CANONICAL_DIRECTION, Volume

SPACING = (5.0, 0.7, 0.8)
TRAINING = [
    Appearance((1.0, 0.7, 0.7), (200.0, 350.0, 350.0), (-110.0, 0.0, 100.0)),
    Appearance((5.0, 0.9, 0.9), (300.0, 450.0, 450.0), (-100.0, 20.0, 150.0)),
]
SEEN = seen_in(TRAINING, OWN_GRID)


def volume(array):
    return Volume(array, SPACING, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_percentiles_are_those_of_soft_tissue_alone(dtype):
    random = np.random.default_rng(0)
    tissue = random.integers(-140, 240, 6000)
    others = np.array([-1000, SOFT_TISSUE_HU[0], SOFT_TISSUE_HU[1], 1500]).repeat(1500)
    hu = random.permutation(np.concatenate([tissue, others])).reshape(12, 20, 50).astype(dtype)
    told = appearance_of(volume(hu))
    # Whole HU: the nearest rank lies within one of what is interpolated.
    np.testing.assert_allclose(told.hu, np.percentile(tissue, (5, 50, 95)), atol=1)
    assert told.spacing_mm == SPACING
    np.testing.assert_allclose(told.extent_mm, np.multiply(hu.shape, SPACING))


def test_a_scan_without_soft_tissue_has_its_lower_bound():
    air = appearance_of(volume(np.full((2, 3, 4), -1000)))
    assert air.hu == (SOFT_TISSUE_HU[0],) * 3


def test_scans_of_the_training_are_alike():
    assert SEEN is not None
    assert [differences(scan, SEEN) for scan in TRAINING] == [[], []]


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize(
    ("field", "moved"),
    [
        ("spacing_mm", lambda mm, share: mm * SPACING_FACTOR**share),
        ("extent_mm", lambda mm, share: mm * EXTENT_FACTOR**share),
        ("hu", lambda hu, share: hu + HU_OFF * share),
    ],
)
def test_each_number_of_each_axis_may_lie_off_so_far_and_no_farther(field, moved, axis, side):
    assert SEEN is not None
    end = SEEN.most if side > 0 else SEEN.least
    for share, alike in ((0.99, True), (1.01, False)):
        values = list(getattr(end, field))
        values[axis] = moved(values[axis], share * side)
        told = differences(end._replace(**{field: tuple(values)}), SEEN)
        assert (told == []) is alike


def test_the_numbers_of_both_are_told():
    assert SEEN is not None
    scan = Appearance((0.73, 0.73, 0.73), (60.0, 350.0, 350.0), (-110.0, 0.0, 220.0))
    spacing, field, tissue = differences(scan._replace(spacing_mm=(0.5, 0.73, 0.73)), SEEN)
    assert spacing == "voxels of 0.5 × 0.73 × 0.73 mm, in training 1 … 5 × 0.7 … 0.9 × 0.7 … 0.9 mm"
    assert field == (
        "a field of 60 × 350 × 350 mm, in training 200 … 300 × 350 … 450 × 350 … 450 mm"
    )
    assert tissue == "soft tissue of -110, 0, 220 HU, in training -110 … -100, 0 … 20, 100 … 150 HU"


def test_a_spacing_finer_than_the_grid_of_the_network_is_as_good_as_that():
    seen = seen_in(TRAINING, (2.0, 2.0, 2.0))
    assert seen is not None
    fine, coarse = (TRAINING[0]._replace(spacing_mm=(mm,) * 3) for mm in (0.1, 3.1))
    assert differences(fine, seen) == []
    assert len(differences(coarse, seen)) == 1


def test_what_was_seen_is_read_back_from_json():
    assert SEEN is not None
    assert Seen.from_json(SEEN.to_json()) == SEEN


def test_nothing_is_known_of_no_scan():
    assert seen_in([], OWN_GRID) is None
