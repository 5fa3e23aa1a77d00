"""One examination through networks that know the answer."""

from dataclasses import replace

import numpy as np
import pytest

from core.preprocess import regrid
from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.config import RECIPES, PrepareConfig
from lnmet.identification.config import RECIPES as IDENTIFICATION
from lnmet.identification.infer import Identifier, Network
from lnmet.labels import METASTATIC, NODE, PANCREAS, PDAC
from lnmet.networks import Segmenter
from lnmet.segmentation import segment_volumes

SHAPE, SPACING = (16, 20, 24), (2.0, 2.0, 2.0)
AORTA, TUMOR, IN_REACH, FAR = 50, 80, 100, 101
"""HU by which the networks below tell things."""


def examination() -> dict[str, Volume]:
    hu = np.zeros(SHAPE, np.int16)
    hu[6:12, 6:12, 8:14] = AORTA
    hu[7:9, 7:9, 9:11] = TUMOR
    hu[8, 13:15, 10:12] = IN_REACH
    hu[15, 19, 23] = FAR
    grid = Volume(hu, SPACING, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
    return {"arterial": grid, "venous": grid.with_array(hu.copy())}


def segmenter(name: str, classes: dict[int, int], num_classes: int, log=None) -> Segmenter:
    """A network that gives voxels of some HU a class."""
    cfg = RECIPES[name]
    cfg = replace(cfg, prepare=PrepareConfig(SPACING, margin_mm=6.0))
    cfg = replace(cfg, infer=replace(cfg.infer, min_node_mm3=0.0))

    def predict(image, attention):
        if log is not None:
            log.append((image.shape, attention))
        probs = np.zeros((*image.shape[:3], num_classes), np.float32)
        probs[..., 0] = 0.25
        for hu, class_ in classes.items():
            probs[..., class_] = np.where(np.rint(image[..., 0]) == hu, 0.75, probs[..., class_])
        return probs

    return Segmenter(cfg, [predict])


def organs() -> Segmenter:
    return segmenter("tiny-organs", {AORTA: 4, TUMOR: PANCREAS}, 11)


def test_organs_tumor_and_nodes_come_together():
    system = {
        "organs": organs(),
        "pdac": segmenter("tiny-pdac", {TUMOR: 1}, 2),
        "nodes": segmenter("tiny-nodes", {IN_REACH: 1}, 2),
    }
    segmented = segment_volumes(examination(), system)
    hu = examination()["venous"].array
    expected = np.select([hu == AORTA, hu == TUMOR, hu == IN_REACH], [4, PDAC, NODE])
    np.testing.assert_array_equal(segmented.label, expected)
    (node,) = segmented.nodes
    assert node.volume_mm3 == 4 * 8
    assert node.score == pytest.approx(0.75)


def test_nodes_from_the_threshold_on_are_metastatic():
    cfg = IDENTIFICATION["tiny-identification"]

    def ask(crops):
        # HU of the node in the middle of each crop.
        middle = [crop["image"][8, 8, 8, 0] for crop in crops]
        return np.array([[0.0, hu - (IN_REACH + FAR) / 2] for hu in middle], np.float32)

    identifier = Identifier(cfg, [Network(ask, np.zeros(2, np.int16))])
    system = {"nodes": segmenter("tiny-nodes-no-attention", {IN_REACH: 1, FAR: 1}, 2)}
    segmented = segment_volumes(examination(), system, None, identifier)
    hu = examination()["venous"].array
    expected = np.select([hu == IN_REACH, hu == FAR], [NODE, METASTATIC])
    np.testing.assert_array_equal(segmented.label, expected)
    probabilities = [node.probability for node in segmented.nodes]
    assert probabilities == pytest.approx([1 / (1 + np.exp(0.5)), 1 / (1 + np.exp(-0.5))])


def test_nodes_are_told_with_the_organ_they_lie_at():
    system = {"organs": organs(), "nodes": segmenter("tiny-nodes", {IN_REACH: 1}, 2)}
    (node,) = segment_volumes(examination(), system).nodes
    # Row 13.5 against the last one of the aorta, 11, in voxels of 2 mm.
    assert (node.organ, node.organ_distance_mm) == ("aorta", pytest.approx(2 * 2.5, rel=0.1))
    assert node.short_axis_mm == pytest.approx(4.0, abs=2.0)
    assert node.probability is None


def test_nodes_are_looked_for_around_the_organs_alone():
    log = []
    system = {"organs": organs(), "nodes": segmenter("tiny-nodes", {FAR: 1}, 2, log)}
    segmented = segment_volumes(examination(), system)
    ((shape, attention),) = log
    # Three voxels are 6 mm around the organs' box.
    assert shape == (12, 12, 12, 2)
    assert attention.shape == shape[:3]
    assert 0 < attention.max() <= 1
    assert not segmented.nodes
    assert not (segmented.label == NODE).any()


def test_attention_comes_back_on_the_scans_own_grid():
    system = {"organs": organs(), "nodes": segmenter("tiny-nodes", {IN_REACH: 1}, 2)}
    segmented = segment_volumes(examination(), system)
    assert segmented.attention.shape == SHAPE
    assert segmented.attention[8, 14, 10] == 1  # 4 mm from the aorta
    assert segmented.attention[15, 19, 23] == 0


def test_known_organs_stand_in_for_a_network():
    log = []
    system = {"nodes": segmenter("tiny-nodes", {IN_REACH: 1}, 2, log)}
    known = np.where(examination()["venous"].array == AORTA, 4, 0).astype(np.uint8)
    segmented = segment_volumes(examination(), system, known)
    assert log[0][1] is not None
    assert (segmented.label == 4).sum() == (known == 4).sum()
    assert len(segmented.nodes) == 1


def test_without_attention_or_organs_the_whole_scan_is_looked_at():
    log = []
    system = {"nodes": segmenter("tiny-nodes-no-attention", {FAR: 1}, 2, log)}
    segmented = segment_volumes(examination(), system)
    assert log == [((*SHAPE, 2), None)]
    assert segmented.attention is None
    assert len(segmented.nodes) == 1


def test_each_network_sees_a_grid_of_its_own():
    log = []
    coarse = segmenter("tiny-organs", {}, 11, log)
    fine = segmenter("tiny-nodes", {}, 2, log)
    coarse = coarse._replace(
        cfg=replace(coarse.cfg, prepare=PrepareConfig((4.0, 4.0, 4.0), margin_mm=6.0))
    )
    segmented = segment_volumes(examination(), {"organs": coarse, "nodes": fine})
    assert segmented.label.shape == SHAPE
    assert [shape for shape, _ in log] == [(8, 10, 12, 2), (*SHAPE, 2)]


def test_folds_of_a_network_are_averaged():
    one, other = (segmenter("tiny-nodes-no-attention", {hu: 1}, 2) for hu in (IN_REACH, FAR))
    both = one._replace(predicts=[*one.predicts, *other.predicts])
    probs = both(np.stack([examination()["venous"].array] * 2, -1))
    # 0.75 of one and 0 of the other.
    assert probs[8, 14, 10].tolist() == [0.25, 0.375]


def test_networks_of_one_grid_share_its_images(monkeypatch):
    calls = []

    def resample(array, shape, *, axis):
        calls.append(shape)
        return array.astype(np.float32)

    monkeypatch.setattr(regrid, "resample_image", resample)
    system = {
        "organs": organs(),
        "pdac": segmenter("tiny-pdac", {TUMOR: 1}, 2),
        "nodes": segmenter("tiny-nodes", {IN_REACH: 1}, 2),
    }
    segment_volumes(examination(), system)
    assert calls == [SHAPE, SHAPE]  # one for each phase
