"""One scan through a cascade: what its networks see, and what is decided on."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.pancreas import BACKGROUND, PANCREAS, TUMOR
from core.infer.voting import Voted
from core.volume import CANONICAL_DIRECTION, Volume
from s4c.config import DecisionConfig, InferConfig, PrepareConfig
from s4c.infer import BODY_HU, screen_volume
from s4c.networks import Cascade
from s4c.recipes import RECIPES
from tests.s4c.test_networks import COARSE

HU = np.linspace(-1000, 1000, 12 * 14 * 16).reshape(12, 14, 16).astype(np.int16)
SCAN = Volume(HU, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
LABEL = np.zeros(HU.shape, np.uint8)
LABEL[4:8, 4:8, 4:8] = PANCREAS
LABEL[5:7, 5:7, 5:7] = TUMOR
LABEL[0, 0, 0] = TUMOR


def sees(label):
    """A network with one answer, and what it is shown."""
    shown = []

    def predict(image):
        shown.append(image)
        return np.eye(3, dtype=np.float32)[label[tuple(slice(n) for n in image.shape)]]

    return predict, shown


@pytest.mark.parametrize("window_hu", [(-100.0, 240.0), (-50.0, 200.0)])
def test_networks_see_the_window_they_were_trained_on(window_hu):
    predict, shown = sees(np.full(HU.shape, BACKGROUND))
    cfg = replace(COARSE, prepare=PrepareConfig(window_hu=window_hu))
    screen_volume(SCAN, Cascade(cfg, [predict]))
    clipped = np.clip(HU, *window_hu).astype(np.float64)
    expected = (clipped - clipped.mean()) / clipped.std()
    (image,) = shown
    np.testing.assert_allclose(image, expected, atol=1e-5)  # float32


@pytest.mark.parametrize(("k", "positive"), [(8, True), (9, False)])
def test_outliers_are_no_tumor_and_the_rest_decides(k, positive):
    cfg = replace(COARSE, decision=DecisionConfig(min_tumor_voxels=k))
    segmentation, decision = screen_volume(SCAN, Cascade(cfg, [sees(LABEL)[0]]))
    assert segmentation.label[0, 0, 0] == BACKGROUND
    assert (decision.num_tumor_voxels, decision.positive) == (8, positive)


@pytest.mark.parametrize(("filtered", "start"), [(False, (0, 0, 0)), (True, (3, 3, 3))])
def test_the_region_is_drawn_around_outliers_unless_they_are_filtered_first(filtered, start):
    cfg = replace(
        COARSE,
        infer=InferConfig(roi_margin=1),
        decision=DecisionConfig(filter_before_roi=filtered),
    )
    segmentation, _ = screen_volume(SCAN, Cascade(cfg, [sees(LABEL)[0]]))
    assert segmentation.roi is not None
    assert segmentation.roi.start == start
    assert segmentation.roi.stop == (9, 9, 9)


@pytest.mark.parametrize("skip_air", [False, True])
def test_a_voting_network_answers_for_the_whole_scan(skip_air):
    bodies = []

    def vote(image, body):
        bodies.append(body)
        return Voted(LABEL, 10, 6)

    recipe = RECIPES["tiny-pnet-venous"]
    decision = replace(recipe.decision, min_tumor_voxels=8)
    cfg = replace(recipe, infer=replace(recipe.infer, skip_air=skip_air), decision=decision)
    segmentation, decision = screen_volume(SCAN, Cascade(cfg, vote=vote))
    assert segmentation.windows == (6, 10)
    assert (segmentation.roi, segmentation.tumor_prob) == (None, None)
    # The voxel in the corner is further than 5 voxels from the rest.
    assert (decision.num_tumor_voxels, decision.positive) == (8, True)
    assert decision.score == 1 / 2
    (body,) = bodies
    if skip_air:
        # The scan grows denser voxel by voxel: its body is what follows the first dense one.
        np.testing.assert_array_equal(body, BODY_HU < HU)
    else:
        assert body is None
