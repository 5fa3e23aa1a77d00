"""Features are made once, are never those of another network or region, and have one shape."""

from dataclasses import replace

import numpy as np
import pytest

from core.errors import InputError
from core.preprocess.crop import Box
from s4c.classifier.config import RECIPES
from s4c.classifier.data import Example, batch_maker, bucketed, cut_of, examples_of, padded
from tests.s4c.phantoms import prepared

CFG = RECIPES["tiny-classifier"]
CASES = [prepared("a", tumor=True), prepared("b", tumor=False, seed=1)]


class Network:
    """A coarse network that counts its regions, and gives features that tell them apart."""

    def __init__(self) -> None:
        self.seen: list[Box] = []

    def __call__(self, cut, roi):
        self.seen.append(roi)
        voxels = cut(roi.start, roi.shape)[::8, ::8, ::8, None]
        return np.repeat(voxels, 3, axis=-1)


def test_features_are_made_once_and_come_back_as_they_are(tmp_path):
    network = Network()
    first = examples_of(CASES, network, "w", tmp_path)
    again = examples_of(CASES, network, "w", tmp_path)
    # The block of pancreas of the phantom, in whole cells.
    assert network.seen == [Box((8, 8, 16), (32, 32, 48))] * 2
    for case, ours, stored in zip(CASES, first, again, strict=True):
        fresh = Network()(cut_of(case), network.seen[0])
        np.testing.assert_array_equal(stored.features[...], fresh)
        assert (ours.id, ours.digest, ours.is_abnormal) == (case.id, case.digest, case.is_abnormal)


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "another image"},
        {"mean": 3.0},
        {"std": 2.0},
        {"pancreas_box": Box((0, 0, 0), (20, 20, 20))},
    ],
    ids=str,
)
def test_features_of_another_image_intensity_or_region_are_made_anew(tmp_path, change):
    (case, *_), network = CASES, Network()
    examples_of([case], network, "w", tmp_path)
    examples_of([case._replace(**change)], network, "w", tmp_path)
    assert len(network.seen) == 2


def test_features_of_another_network_or_damaged_ones_are_made_anew(tmp_path):
    network = Network()
    examples_of(CASES[:1], network, "w", tmp_path)
    examples_of(CASES[:1], network, "other weights", tmp_path)
    assert len(network.seen) == 2
    (tmp_path / "a" / "features.npy").write_bytes(b"cut short")
    (example,) = examples_of(CASES[:1], network, "other weights", tmp_path)
    assert len(network.seen) == 3
    assert example.features[...].shape == (3, 3, 4, 3)


def test_a_box_within_the_same_cells_has_the_same_features(tmp_path):
    (case, *_), network = CASES, Network()
    wider = Box((9, 9, 17), (31, 31, 47))
    for box in (case.pancreas_box, wider):
        examples_of([case._replace(pancreas_box=box)], network, "w", tmp_path)
    assert len(network.seen) == 1


def test_a_case_without_a_pancreas_is_left_out_and_told(tmp_path, caplog):
    without = CASES[0]._replace(pancreas_box=None)
    assert examples_of([without], Network(), "w", tmp_path) == []
    assert "a is left out: no pancreas is annotated" in caplog.text


def example(id_: str, size, is_abnormal: bool) -> Example:
    features = np.full((*size, 2), float(ord(id_)), np.float32)
    return Example(id_, id_, features, is_abnormal)


EXAMPLES = [example("a", (1, 9, 3), True), example("b", (4, 2, 3), False)]


def test_all_batches_have_one_shape_that_holds_the_largest_region():
    make = batch_maker(EXAMPLES, CFG)
    for step in range(4):
        batch = make(step)
        assert batch["features"].shape == (1, 8, 16, 8, 2)
        (size,), (features,) = batch["size"], batch["features"]
        (drawn,) = [e for e in EXAMPLES if e.features.shape[:3] == tuple(size)]
        assert batch["abnormal"] == [drawn.is_abnormal]
        d, h, w = size
        np.testing.assert_array_equal(features[:d, :h, :w], drawn.features)
        assert np.count_nonzero(features) == drawn.features.size


def test_every_case_comes_once_in_a_pass_and_hosts_share_a_batch():
    many = [example(chr(97 + i), (1, 1, 1 + i), i % 2 == 0) for i in range(6)]
    cfg = replace(CFG, data=replace(CFG.data, batch=2))
    whole, parts = (
        batch_maker(many, cfg),
        [batch_maker(many, cfg, host=h, num_hosts=2) for h in (0, 1)],
    )
    widths = np.concatenate([whole(step)["size"][:, 2] for step in range(3)])
    assert sorted(widths) == [1, 2, 3, 4, 5, 6]
    for step in range(3):
        for name, array in whole(step).items():
            np.testing.assert_array_equal(
                array, np.concatenate([part(step)[name] for part in parts])
            )


@pytest.mark.parametrize(("kept", "lacks"), [(0, "is without a tumor"), (1, "has a tumor")])
def test_a_training_part_of_one_kind_is_refused(kept, lacks):
    with pytest.raises(InputError, match=f"no training case with an annotated pancreas {lacks}"):
        batch_maker([EXAMPLES[kept]], CFG)


def test_sizes_are_rounded_up_to_a_bucket():
    assert bucketed((1, 8, 9)) == (8, 8, 16)
    array = np.ones((1, 2, 3, 4), np.float32)
    assert padded(array, (8, 8, 8)).sum() == array.sum()
