"""Coarse to fine: who looks where, and how opinions are averaged."""

import numpy as np

from core.datasets.pancreas import BACKGROUND, PANCREAS, TUMOR
from core.preprocess.crop import Box
from s4c.cascade import most_probable, segment
from s4c.config import DecisionConfig
from s4c.decision import remove_outliers

SHAPE = (20, 24, 28)


def constant(probs: tuple[float, float, float]):
    """A network that sees the same everywhere."""
    return lambda image: np.tile(np.float32(probs), (*image.shape, 1))


def sees_pancreas_at(image):
    """A network that finds pancreas wherever the image is bright."""
    probs = np.zeros((*image.shape, 3), np.float32)
    probs[..., PANCREAS] = np.where(image > 0, 0.9, 0.0)
    probs[..., BACKGROUND] = 1 - probs[..., PANCREAS]
    return probs


def bright_block() -> np.ndarray:
    image = np.zeros(SHAPE, np.float32)
    image[8:12, 10:14, 11:15] = 1.0
    return image


def test_nothing_found_by_the_coarse_pass_ends_the_matter():
    fine = [lambda image: 1 / 0]
    out = segment(np.zeros(SHAPE, np.float32), sees_pancreas_at, fine, roi_margin=2)
    assert out.roi is None
    assert not out.label.any()


def test_fine_networks_see_the_box_of_the_coarse_finding_and_its_margin():
    shapes = []

    def fine(image):
        shapes.append(image.shape)
        return constant((1.0, 0.0, 0.0))(image)

    out = segment(bright_block(), sees_pancreas_at, [fine], roi_margin=3)
    assert out.roi == Box((5, 7, 8), (15, 17, 18))
    assert shapes == [(10, 10, 10)]


def test_the_margin_stops_at_the_border_of_the_scan():
    out = segment(bright_block(), sees_pancreas_at, [], roi_margin=100)
    assert out.roi == Box((0, 0, 0), SHAPE)


def test_inside_the_region_probabilities_are_averaged_outside_the_coarse_stand_alone():
    fine = [constant((0.0, 0.0, 1.0)), constant((0.0, 0.4, 0.6))]
    out = segment(bright_block(), sees_pancreas_at, fine, roi_margin=1)
    # At a bright voxel: pancreas (0.9 + 0 + 0.4) / 3, tumor (0 + 1 + 0.6) / 3.
    np.testing.assert_allclose(out.tumor_prob[9, 11, 12], 1.6 / 3, rtol=1e-6)
    assert out.label[9, 11, 12] == TUMOR
    assert out.label[0, 0, 0] == BACKGROUND
    assert out.tumor_prob[0, 0, 0] == 0


def test_no_fine_network_leaves_the_coarse_result():
    image = bright_block()
    out = segment(image, sees_pancreas_at, [], roi_margin=4)
    np.testing.assert_array_equal(out.label, most_probable(sees_pancreas_at(image)))


def test_alone_the_fine_network_answers_inside_the_region():
    fine = [constant((0.0, 0.0, 1.0))]
    out = segment(bright_block(), sees_pancreas_at, fine, roi_margin=1, alone=True)
    assert out.tumor_prob[9, 11, 12] == 1.0
    assert out.label[0, 0, 0] == BACKGROUND


def test_a_component_that_is_cleaned_away_does_not_widen_the_region():
    image = bright_block()
    image[19, 23, 27] = 1.0  # one voxel, far away

    def clean(label):
        return remove_outliers(label, DecisionConfig())

    widened = segment(image, sees_pancreas_at, [], roi_margin=0)
    assert widened.roi == Box((8, 10, 11), SHAPE)
    assert segment(image, sees_pancreas_at, [], roi_margin=0, clean=clean).roi == Box(
        (8, 10, 11), (12, 14, 15)
    )
