"""The grid that networks see: to it, back from it, and what is counted in its voxels."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.pancreas import BACKGROUND, PANCREAS, TUMOR
from core.preprocess.regrid import Regrid
from core.volume import CANONICAL_DIRECTION, Volume
from s4c.cascade import Segmentation
from s4c.config import DecisionConfig, InferConfig, PrepareConfig
from s4c.grid import in_voxels, margins, on_scan, spacing_text, voxel_mm3
from s4c.infer import screen_volume
from s4c.networks import Cascade
from tests.s4c.test_networks import COARSE
from tests.s4c.test_screen_volume import sees

GRID = Regrid((8, 8, 8), (1.0, 1.0, 1.0), (2.0, 2.0, 2.0))


def test_what_was_removed_from_the_label_does_not_come_back():
    probs = np.zeros((4, 4, 4, 3), np.float32)
    probs[..., BACKGROUND] = 0.1
    probs[..., TUMOR] = 0.9
    label = np.full((4, 4, 4), TUMOR, np.uint8)
    label[:2] = BACKGROUND
    back = on_scan(Segmentation(label, probs, None), GRID).label
    assert not back[:3].any()
    assert (back[5:] == TUMOR).all()


def test_labels_of_votes_come_back_without_probabilities():
    label = np.zeros((4, 4, 4), np.uint8)
    label[1:3] = PANCREAS
    voted = on_scan(Segmentation(label, None, None, (3, 8)), GRID)
    np.testing.assert_array_equal(voted.label, label.repeat(2, 0).repeat(2, 1).repeat(2, 2))
    assert voted.windows == (3, 8)


def test_a_voxel_of_the_networks_is_as_many_of_the_scan_as_it_covers():
    volume = Volume(np.zeros(GRID.own), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
    assert voxel_mm3(volume, GRID) == pytest.approx(8.0)
    assert voxel_mm3(volume, None) == volume.voxel_mm3


def test_a_scan_on_its_own_grid_keeps_its_label():
    label = np.full((4, 4, 4), PANCREAS, np.uint8)
    probs = np.zeros((4, 4, 4, 3), np.float32)
    segmentation = Segmentation(label, probs, None)
    assert on_scan(segmentation, None) is segmentation


@pytest.mark.parametrize("spacing_mm", [(5.0, 0.7, 0.7), (1.0, 1.0, 1.0)])
def test_counts_and_margins_of_a_given_size_cover_the_same_mm(spacing_mm):
    cfg = DecisionConfig(
        min_tumor_voxels=50, min_duct_voxels=500, saturation_voxels=1500, voxel_mm=0.8
    )
    voxel_mm3 = float(np.prod(spacing_mm))
    own = in_voxels(cfg, voxel_mm3)
    counts = {50: own.min_tumor_voxels, 500: own.min_duct_voxels, 1500: own.saturation_voxels}
    for wanted, counted in counts.items():
        # The least whole number of voxels that is not smaller, to within rounding.
        assert -1e-6 < counted * voxel_mm3 - wanted * 0.8**3 < voxel_mm3
    reach = np.multiply(margins(32, cfg, spacing_mm), spacing_mm)
    assert (reach >= 32 * 0.8 - 1e-9).all()
    assert (reach < 32 * 0.8 + np.array(spacing_mm)).all()


def test_without_a_size_voxels_are_those_of_the_grid():
    cfg = DecisionConfig()
    assert in_voxels(cfg, 7.0) == cfg
    assert in_voxels(replace(cfg, voxel_mm=1.0), 7.0).min_duct_voxels == 0  # still no such rule
    assert margins(32, cfg, (5.0, 0.7, 0.7)) == (32, 32, 32)


def test_a_size_of_no_voxel_is_refused():
    with pytest.raises(ValueError, match="voxel_mm must be positive; got 0"):
        DecisionConfig(voxel_mm=0.0)
    with pytest.raises(ValueError, match="a spacing must be positive; got -1"):
        PrepareConfig(spacing_mm=(1.0, -1.0, 1.0))


def test_a_spacing_is_named_in_words():
    assert spacing_text(PrepareConfig()) == "voxels of each scan's own size"
    assert spacing_text(PrepareConfig(spacing_mm=(2.5, 1.0, 1.0))) == "voxels of 2.5 × 1 × 1 mm"


BLOCK = np.zeros((24, 28, 32), np.uint8)
BLOCK[8:16, 8:16, 8:16] = PANCREAS
BLOCK[10:14, 10:14, 10:14] = TUMOR
FINE = Volume(
    np.where(BLOCK == TUMOR, 150, np.where(BLOCK == PANCREAS, 50, -1000)).astype(np.int16),
    (1.0, 1.0, 1.0),
    (0.0, 0.0, 0.0),
    CANONICAL_DIRECTION,
)


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (2.0, 1.0, 1.0), (1.0, 1.0, 1.0)])
def test_networks_see_their_spacing_and_the_answer_lies_on_the_scan(spacing_mm):
    sizes = zip(FINE.shape, spacing_mm, strict=True)
    shape = tuple(round(n / mm) for n, mm in sizes)
    label = BLOCK[tuple(slice(None, None, int(mm)) for mm in spacing_mm)]
    predict, shown = sees(label)
    prepare = PrepareConfig(spacing_mm=spacing_mm)
    cfg = replace(COARSE, prepare=prepare, infer=InferConfig(roi_margin=1))
    segmentation, decision = screen_volume(FINE, Cascade(cfg, [predict]))
    assert shown[0].shape == label.shape == shape
    # Blocks of whole voxels of the coarser grid come back as they were but for their corners,
    # where less than half of the surroundings are theirs.
    differing = np.count_nonzero(segmentation.label != BLOCK)
    assert differing <= (0 if spacing_mm == FINE.spacing_mm else 0.05 * np.count_nonzero(BLOCK))
    # Decided on the grid of the networks.
    num = np.count_nonzero(label == TUMOR)
    assert decision.num_tumor_voxels == num
    assert segmentation.roi is not None
    reach = tuple(8 - int(mm) for mm in spacing_mm)
    assert segmentation.roi.start == reach


@pytest.mark.parametrize(("k", "positive"), [(64, True), (65, False)])
def test_k_counts_voxels_of_a_given_size_on_any_grid(k, positive):
    """A tumor of 64 mm³ is 8 voxels of 2 mm, or 64 of 1 mm."""
    for side in (1.0, 2.0):
        label = BLOCK[:: int(side), :: int(side), :: int(side)]
        cfg = replace(
            COARSE,
            prepare=PrepareConfig(spacing_mm=(side, side, side)),
            decision=DecisionConfig(min_tumor_voxels=k, saturation_voxels=128, voxel_mm=1.0),
        )
        _, decision = screen_volume(FINE, Cascade(cfg, [sees(label)[0]]))
        assert decision.positive is positive
        # Half of the saturation, and sure: 0.5 · 0.5 + 0.5 · 1.
        assert decision.score == pytest.approx(0.75)
