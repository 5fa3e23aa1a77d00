"""Patch sampling: what is drawn, how often, and that it depends on the step alone."""

from dataclasses import replace

import numpy as np
import pytest

from core.datasets.pancreas import BACKGROUND, IGNORE, PANCREAS, TUMOR
from core.errors import InputError
from core.preprocess.crop import bounding_box
from core.preprocess.intensity import normalize
from s4c.config import DataConfig
from s4c.data import PATCH_TYPES, Prepared, batch_maker, cut, patch_type
from s4c.recipes import SEGMENTATION
from tests.s4c.phantoms import prepared

ROI = DataConfig(patch=16, batch=6, sampling="roi", roi_margin=16)
SCAN = DataConfig(patch=16, batch=6, sampling="scan")


@pytest.fixture(scope="module")
def cases() -> list[Prepared]:
    return [prepared("a", tumor=True), prepared("b", tumor=False, seed=1)]


@pytest.mark.parametrize("cfg", [ROI, SCAN], ids=["roi", "scan"])
def test_a_batch_depends_on_seed_and_step_alone(cases, cfg):
    first, again = batch_maker(cases, cfg, 3), batch_maker(cases, cfg, 3)
    again(0), again(7)  # what was drawn before must not matter
    for name, value in first(5).items():
        np.testing.assert_array_equal(value, again(5)[name])
    assert not np.array_equal(first(5)["image"], first(6)["image"])
    assert not np.array_equal(first(5)["image"], batch_maker(cases, cfg, 4)(5)["image"])


@pytest.mark.parametrize("cfg", [ROI, SCAN], ids=["roi", "scan"])
def test_a_batch_has_the_shapes_of_the_config(cases, cfg):
    batch = batch_maker(cases, cfg, 0)(0)
    assert batch["image"].shape == (cfg.batch, *(cfg.patch,) * 3, 1)
    assert batch["image"].dtype == np.float32
    assert batch["label"].shape == (cfg.batch, *(cfg.patch,) * 3)
    assert batch["label"].dtype == np.uint8


def test_roi_batches_hold_the_three_types_in_equal_numbers(cases):
    make = batch_maker(cases, ROI, 0)
    types = [patch_type(label, ROI.type_fraction) for s in range(4) for label in make(s)["label"]]
    assert [types.count(kind) for kind in PATCH_TYPES] == [4 * ROI.batch // 3] * 3


def test_roi_patches_stay_inside_the_pancreas_box_and_its_margin(cases):
    # Every voxel of the scan is different (mod 30,000), so a patch tells where it was cut.
    case = cases[0]
    box = bounding_box(case.label > 0)
    for label in batch_maker([case], ROI, 0)(0)["label"]:
        assert label.shape == (ROI.patch,) * 3
    margin = ROI.roi_margin
    low = [max(0, a - margin) for a in box.start]
    assert low == [0, 0, 4]
    values = normalize(case.image[0:40, 0:46, 4:60], case.mean, case.std)
    images = batch_maker([case], ROI, 0)(1)["image"]
    assert np.isin(images, values).all()


@pytest.mark.parametrize("batch", [6, 1])
def test_every_second_patch_is_centred_on_the_pancreas_whatever_the_batch(cases, batch):
    make = batch_maker(cases, replace(SCAN, batch=batch), 0)
    middle = SCAN.patch // 2
    labels = np.concatenate([make(step)["label"] for step in range(120 // batch)])[1::2]
    # 12 voxels from every border the patch can be centred; the block of pancreas lies there.
    assert (labels[:, middle, middle, middle] != BACKGROUND).all()


def test_no_foreground_is_uniform_over_the_scan(cases):
    labels = [
        label
        for s in range(40)
        for label in batch_maker(cases, replace(SCAN, foreground=0.0), 0)(s)["label"]
    ]
    share = np.mean([label.any() for label in labels])
    starts = [n - SCAN.patch + 1 for n in (40, 50, 60)]
    overlap = [
        min(b, s) - max(a - SCAN.patch + 1, 0)
        for a, b, s in zip((12, 14, 20), (28, 30, 44), starts, strict=True)
    ]
    expected = np.prod(np.divide(overlap, starts))
    # 240 draws of a share p: three standard deviations are at most 3·√(0.25 / 240) = 0.097.
    assert abs(share - expected) < 0.097


def test_a_scan_smaller_than_the_patch_is_padded_with_zeros():
    case = prepared("small", tumor=True, shape=(40, 50, 60))
    small = case._replace(image=case.image[10:20], label=case.label[10:20])
    image, label = cut(small, (-3, 0, 0), 16)
    assert np.abs(image[:3]).max() <= 0.5 / case.std  # int16 rounds the mean by half a HU
    assert not label[:3].any()
    np.testing.assert_array_equal(label[3:13], case.label[10:20, :16, :16])


@pytest.mark.parametrize(
    ("num_tumor", "num_pancreas", "expected"),
    [(5, 0, TUMOR), (4, 1, PANCREAS), (4, 0, BACKGROUND), (0, 5, PANCREAS), (0, 0, BACKGROUND)],
)
def test_patch_type_goes_by_the_share_of_voxels(num_tumor, num_pancreas, expected):
    label = np.zeros(100, np.uint8)
    label[:num_tumor] = TUMOR
    label[num_tumor : num_tumor + num_pancreas] = PANCREAS
    assert patch_type(label.reshape(4, 5, 5), 0.05) == expected


def test_data_without_what_the_sampling_needs_is_refused(cases):
    empty = cases[1]._replace(pancreas_box=None)
    with pytest.raises(InputError, match="no training case has a pancreas"):
        batch_maker([empty], SCAN, 0)
    with pytest.raises(InputError, match="no training case has a tumor"):
        batch_maker([cases[1]], ROI, 0)


def test_every_recipe_draws_its_own_batch_shape(cases):
    for cfg in SEGMENTATION.values():
        data = replace(cfg.data, batch=2)
        assert batch_maker(cases, data, 0)(0)["image"].shape == (2, *(data.patch,) * 3, 1)


@pytest.mark.parametrize("cfg", [ROI, SCAN], ids=["roi", "scan"])
def test_the_parts_of_all_hosts_are_the_batch_of_one(cases, cfg):
    parts = [batch_maker(cases, cfg, 0, host=host, num_hosts=3)(4) for host in range(3)]
    for name, whole in batch_maker(cases, cfg, 0)(4).items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), whole)


def test_a_batch_that_the_hosts_cannot_share_is_refused(cases):
    with pytest.raises(ValueError, match="must be divisible by 4"):
        batch_maker(cases, ROI, 0, host=0, num_hosts=4)


def test_what_nobody_annotated_makes_no_patch_of_the_pancreas():
    label = np.full((4, 4, 4), IGNORE, np.uint8)
    assert patch_type(label, 0.1) == BACKGROUND
