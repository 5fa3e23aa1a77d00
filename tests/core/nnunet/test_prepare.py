from dataclasses import replace

import numpy as np
import pytest

from core.nn.unet import UNetPlan
from core.nnunet.plans import Channel, Plans
from core.nnunet.prepare import RAS, prepare, restore
from core.preprocess.fingerprint import Intensities
from core.preprocess.resample import resample_image
from core.preprocess.resample_back import label_on
from core.volume import CANONICAL_DIRECTION, Volume, orientation, reorient
from tests.refusals import refused

CT = Channel("CT", "CT", False, Intensities(-40.0, 80.0, 10.0, 20.0))
MR = Channel("MR", "z-score", True, None)
NETWORK = UNetPlan(
    features=(4, 8),
    strides=((1, 1, 1), (2, 2, 2)),
    kernels=((3, 3, 3),) * 2,
    encoder_units=(1, 1),
    decoder_units=(1,),
)
SPACING_MM = 2.0, 1.0, 1.5
PLANS = Plans(
    version=2,
    network=NETWORK,
    patch=(8, 8, 8),
    spacing_mm=SPACING_MM,
    channels=(CT,),
    labels={"background": 0, "organ": 1},
)


def volume_of(array, spacing_mm=SPACING_MM):
    return Volume(array, spacing_mm, (3.0, -2.0, 1.0), CANONICAL_DIRECTION)


def noise(shape=(9, 10, 11), seed=0):
    """Never 0, so nothing is cropped."""
    return np.random.default_rng(seed).integers(1, 100, shape).astype(np.int16)


def prepared(channel, array, **changes):
    return prepare(replace(PLANS, channels=(channel,), **changes), [volume_of(array)]).image[..., 0]


def test_ct_is_clipped_to_the_foreground_and_scaled_by_it():
    array = noise()
    expected = (np.clip(array, -40, 80) - 10.0) / 20.0
    # float32
    np.testing.assert_allclose(prepared(CT, array), expected, atol=1e-6)


def test_z_scores_are_of_the_image():
    array = noise()
    expected = (array - array.mean()) / array.std()
    np.testing.assert_allclose(prepared(MR._replace(masked=False), array), expected, atol=1e-5)


def test_rescaling_ends_at_0_and_1():
    image = prepared(MR._replace(scheme="rescale", masked=False), noise())
    assert (image.min(), image.max()) == (0.0, 1.0)


def test_without_normalization_intensities_stay():
    array = noise()
    np.testing.assert_array_equal(prepared(MR._replace(scheme="none", masked=False), array), array)


@pytest.mark.parametrize("version", [1, 2])
def test_masked_z_scores_leave_zeros_outside_and_count_holes_as_inside(version):
    array = noise()
    array[0, :5] = 0  # outside, and too little to be cropped
    array[4, 5, 5] = 0  # a hole
    inside = np.ones(array.shape, bool)
    inside[0, :5] = False
    values = array[inside]
    expected = np.where(inside, (array - values.mean()) / values.std(), 0)
    np.testing.assert_allclose(prepared(MR, array, version=version), expected, atol=1e-5)


def test_zeros_around_are_cropped_and_come_back_as_background():
    array = np.pad(noise((4, 5, 6)), ((1, 2), (3, 0), (2, 2)))
    volume = volume_of(array)
    case = prepare(PLANS, [volume])
    assert case.image.shape == (4, 5, 6, 1)
    scores = np.stack([np.zeros((4, 5, 6)), np.ones((4, 5, 6))], -1).astype(np.float32)
    np.testing.assert_array_equal(restore(PLANS, scores, case, volume).array, array > 0)


def test_an_image_of_zeros_is_not_cropped():
    assert prepare(PLANS, [volume_of(np.zeros((4, 5, 6), np.int16))]).image.shape == (4, 5, 6, 1)


def test_the_spacing_becomes_that_of_the_training_in_the_networks_order():
    plans = replace(PLANS, transpose=(2, 0, 1), spacing_mm=(3.0, 1.0, 2.0))
    case = prepare(plans, [volume_of(noise((8, 9, 10)))])
    # W, D, H: 10 voxels of 1.5 mm, 8 of 2 mm and 9 of 1 mm; halves go to the even number.
    assert case.image.shape == (5, 16, 4, 1)


def test_version_2_normalizes_before_and_version_1_after_resampling():
    array, spacing_mm = noise(), (2.0, 0.7, 1.5)

    def normalized(image):
        return (np.clip(image, -40, 80) - 10.0) / 20.0

    def resampled(image):
        return resample_image(image, (9, 14, 11))

    before, after = resampled(normalized(array)), normalized(resampled(array))
    assert np.abs(before - after).max() > 0.1
    for version, expected in ((2, before), (1, after)):
        image = prepared(CT, array, version=version, spacing_mm=spacing_mm)
        np.testing.assert_allclose(image, expected, atol=1e-5)  # float32


@pytest.mark.parametrize("transpose", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("reorients", [False, True])
def test_restoring_undoes_the_preparation_in_every_orientation(transpose, reorients):
    plans = replace(
        PLANS,
        transpose=transpose,
        reorients=reorients,
        channels=(MR._replace(scheme="none", masked=False),),
    )
    stored = reorient(volume_of(noise()), np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]))
    seen = reorient(stored, RAS) if reorients else stored
    plans = replace(plans, spacing_mm=tuple(seen.spacing_mm[axis] for axis in transpose))
    case = prepare(plans, [stored])
    is_bright = case.image[..., 0] > 50
    scores = np.stack([~is_bright, is_bright], -1).astype(np.float32)
    label = restore(plans, scores, case, stored)
    np.testing.assert_array_equal(label.array, stored.array > 50)
    assert label.array.dtype == np.uint8
    np.testing.assert_array_equal(label.affine_lps, stored.affine_lps)


@pytest.mark.parametrize(("version", "axis"), [(1, 0), (2, 2)])
def test_labels_go_back_across_the_coarse_axis_of_the_image_or_of_the_network(version, axis):
    plans = replace(PLANS, version=version, spacing_mm=(1.0, 1.0, 4.0))
    volume = volume_of(noise((4, 8, 8)), spacing_mm=(4.0, 1.0, 1.0))
    case = prepare(plans, [volume])
    scores = np.random.default_rng(0).normal(size=(16, 8, 2, 2)).astype(np.float32)
    expected = label_on(scores, (4, 8, 8), axis=axis)
    np.testing.assert_array_equal(restore(plans, scores, case, volume).array, expected)


def test_images_are_turned_to_the_right_the_front_and_the_head():
    assert orientation(reorient(volume_of(noise()), RAS)) == "SAR"


def test_images_that_are_turned_first_look_the_same_in_every_orientation():
    plans = replace(PLANS, reorients=True)
    canonical = volume_of(noise())
    turned = reorient(canonical, np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]]))
    assert turned.shape != canonical.shape
    np.testing.assert_array_equal(prepare(plans, [turned]).image, prepare(plans, [canonical]).image)


def test_another_number_of_images_or_another_grid_is_refused():
    first = volume_of(noise())
    with refused(None, "2 images", "CT"):
        prepare(PLANS, [first, first])
    two = replace(PLANS, channels=(CT, MR))
    with refused(None, "grids", hint="resample"):
        prepare(two, [first, replace(first, origin_mm=(0.0, 0.0, 0.0))])
