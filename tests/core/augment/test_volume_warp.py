"""What moves, moves together, and what does not stays bit for bit."""

from inspect import unwrap
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from core.augment.config import VolumeAugmentConfig
from core.augment.volume_resample import center_crop, crop_start, resample_volume
from core.augment.volume_warp import about_one, affine_matrix, affine_source, warp_volume

LOADED, PATCH = (13, 18, 16), (8, 11, 10)
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.normal(size=(*LOADED, 2)), jnp.float32)
LABEL = jnp.asarray(RNG.integers(0, 5, LOADED), jnp.uint8)
GATE = jnp.asarray(RNG.random(LOADED), jnp.float32)
STILL = VolumeAugmentConfig(
    rotation_probability=0.0, scaling_probability=0.0, mirror_probability=0.0
)
ALWAYS = VolumeAugmentConfig(rotation_probability=1.0, scaling_probability=1.0)
KEY = jax.random.key(0)


def blocks(shape):
    """Labels 0, 1 and 3 in blocks of four voxels."""
    ids = np.random.default_rng(1).choice([0, 1, 3], [-(-n // 4) for n in shape])
    return jnp.asarray(np.kron(ids, np.ones((4, 4, 4)))[tuple(map(slice, shape))], jnp.int32)


def resampled(affine, mirrored=(False, False, False), **changed):
    options = {"image": IMAGE, "label": LABEL, "gate": GATE, "patch": PATCH, "label_fill": 0}
    image, label, gate, patch, label_fill = (options | changed).values()
    matrix = jnp.asarray(affine, jnp.float32)
    source = affine_source(label.shape, patch, matrix, jnp.array(mirrored))
    return resample_volume(image, label, gate, source, image_fill=0.0, label_fill=label_fill)


def test_where_nothing_is_drawn_the_patch_is_the_middle_bit_for_bit():
    moved = jax.jit(lambda *a: warp_volume(*a, patch=PATCH, cfg=STILL))(KEY, IMAGE, LABEL, GATE)
    # ⌊13/2⌋ − ⌊8/2⌋, ⌊18/2⌋ − ⌊11/2⌋, ⌊16/2⌋ − ⌊10/2⌋
    assert crop_start(LOADED, PATCH) == (2, 4, 3)
    middle = np.s_[2:10, 4:15, 3:13]
    for volume, out in zip((IMAGE, LABEL, GATE), moved, strict=True):
        np.testing.assert_array_equal(out, volume[middle])
        np.testing.assert_array_equal(center_crop(volume, PATCH), volume[middle])
    assert [x.dtype for x in moved] == [jnp.float32, jnp.uint8, jnp.float32]


@pytest.mark.parametrize("axes", [axes for axes in product((False, True), repeat=3) if any(axes)])
def test_mirrored_axes_of_the_patch_are_those_of_its_middle(axes):
    where = [axis for axis, mirrored in enumerate(axes) if mirrored]
    for volume, out in zip((IMAGE, LABEL, GATE), resampled(jnp.eye(3), axes), strict=True):
        np.testing.assert_array_equal(out, np.flip(center_crop(volume, PATCH), where))


def test_mirroring_three_times_is_mirroring_once():
    once = center_crop(IMAGE, PATCH)
    for _ in range(3):
        label = jnp.zeros(PATCH, jnp.int32)
        once, *_ = resampled(jnp.eye(3), (True, False, True), image=once, label=label, gate=None)
    np.testing.assert_array_equal(once, np.flip(center_crop(IMAGE, PATCH), (0, 2)))


@pytest.mark.parametrize(("axis", "plane"), [(0, (2, 1)), (1, (0, 2)), (2, (1, 0))])
def test_a_quarter_turn_of_a_cube_is_numpys(axis, plane):
    angles = jnp.zeros(3).at[axis].set(jnp.pi / 2)
    image, label, gate = IMAGE[:9, :9, :9], LABEL[:9, :9, :9], GATE[:9, :9, :9]
    cube = {"image": image, "label": label, "gate": gate, "patch": (9, 9, 9)}
    for volume, out in zip(
        (image, label, gate), resampled(affine_matrix(angles, 1.0), **cube), strict=True
    ):
        # The cosine of π / 2 in float32 is 4e-8, times 4 voxels from the middle and steps of 4.
        np.testing.assert_allclose(out, np.rot90(volume, 1, plane), atol=5e-6)


def test_a_turn_keeps_lengths_and_a_scale_multiplies_them():
    matrix = affine_matrix(jnp.array([0.3, -0.5, 0.2]), 1.25)
    # Products of float32.
    np.testing.assert_allclose(matrix @ matrix.T, 1.25**2 * np.eye(3), atol=1e-6)


def test_is_linear_interpolation_as_in_scipy():
    source = [RNG.uniform(-3, n + 2, PATCH).astype(np.float32) for n in LOADED]
    places = tuple(jnp.asarray(s) for s in source)
    image, _, gate = resample_volume(IMAGE, LABEL, GATE, places, image_fill=-2.0, label_fill=0)
    where = np.stack(source).astype(np.float64)
    peer = {"order": 1, "mode": "grid-constant"}
    for c in range(2):
        volume = np.asarray(IMAGE[..., c], np.float64)
        # float32 weights against float64.
        np.testing.assert_allclose(
            image[..., c], map_coordinates(volume, where, cval=-2, **peer), atol=2e-5
        )
    expected = map_coordinates(np.asarray(GATE, np.float64), where, cval=0, **peer)
    np.testing.assert_allclose(gate, expected, atol=1e-5)


def test_a_label_is_the_id_with_the_largest_interpolated_indicator():
    label = blocks(LOADED)
    source = np.stack([RNG.uniform(-1.5, n + 0.5, PATCH) for n in LOADED])
    places = tuple(jnp.asarray(s, jnp.float32) for s in source)
    out = resample_volume(IMAGE, label, None, places, image_fill=0.0, label_fill=7)[1]
    label, ids = np.asarray(label), np.array([0, 1, 3, 7])
    peer = {"order": 1, "mode": "grid-constant"}
    scores = np.stack(
        [map_coordinates((label == i) * 1.0, source, cval=float(i == 7), **peer) for i in ids]
    )
    first, second = np.sort(scores, axis=0)[[-1, -2]]
    sure = first - second > 1e-5
    assert sure.mean() > 0.99
    np.testing.assert_array_equal(np.asarray(out)[sure], ids[scores.argmax(0)][sure])
    assert set(np.unique(out)) == set(ids)


def test_a_tie_goes_to_the_nearest_voxel():
    label = jnp.array([4, 4, 9, 9, 9], jnp.int32).reshape(1, 1, 5)
    at = jnp.array([0.5, 1.25, 1.75, 3.5]).reshape(1, 1, 4)
    places = (jnp.zeros_like(at), jnp.zeros_like(at), at)
    image = jnp.zeros((1, 1, 5, 1))
    out = resample_volume(image, label, None, places, image_fill=0.0, label_fill=0)[1]
    np.testing.assert_array_equal(out.ravel(), [4, 4, 9, 9])


@pytest.mark.parametrize("seed", range(4))
def test_an_image_and_a_gate_like_the_label_move_like_it(seed):
    mask = (blocks(LOADED) == 1).astype(jnp.int32)
    image, label, gate = warp_volume(
        jax.random.key(seed), mask[..., None].astype(jnp.float32), mask, mask.astype(jnp.float32),
        patch=PATCH, cfg=ALWAYS,
    )  # fmt: skip
    np.testing.assert_array_equal(gate, image[..., 0])
    sure = np.abs(np.asarray(gate) - 0.5) > 1e-5
    np.testing.assert_array_equal(np.asarray(label)[sure], np.asarray(gate)[sure] > 0.5)
    assert 0 < np.mean(label) < 1


def test_without_a_gate_image_and_label_are_the_same():
    matrix = affine_matrix(jnp.array([0.3, -0.5, 0.2]), 1.1)
    (image, label, _), without = resampled(matrix), resampled(matrix, gate=None)
    np.testing.assert_array_equal(without[0], image)
    np.testing.assert_array_equal(without[1], label)
    assert without[2] is None


def test_beyond_the_loaded_patch_lies_the_fill():
    image, label, gate = resampled(10 * np.eye(3), label_fill=6)
    corner = np.s_[0, 0, 0]
    np.testing.assert_array_equal(image[corner], 0)
    assert (label[corner], gate[corner]) == (6, 0)


def test_a_scale_above_one_makes_objects_smaller():
    ball = jnp.linalg.norm(jnp.stack(jnp.meshgrid(*[jnp.arange(-8.0, 9)] * 3)), axis=0) < 5
    label, image = ball.astype(jnp.int32), ball[..., None].astype(jnp.float32)
    ball_of = {"image": image, "label": label, "gate": None, "patch": (17, 17, 17)}
    sizes = [resampled(s * np.eye(3), **ball_of)[1].sum() for s in (0.8, 1.0, 1.25)]
    # Volumes of balls whose radius is 5 / scale, give or take half a voxel.
    for size, scale in zip(sizes, (0.8, 1.0, 1.25), strict=True):
        radius = (size * 3 / (4 * np.pi)) ** (1 / 3)
        assert abs(radius - 5 / scale) < 0.5


def test_draws_come_with_their_probabilities():
    cfg = VolumeAugmentConfig()
    image, label = jnp.arange(27.0).reshape(3, 3, 3, 1), jnp.zeros((3, 3, 3), jnp.int32)

    def first(key):
        return warp_volume(key, image, label, None, patch=(3, 3, 3), cfg=cfg)[0][..., 0]

    patches = np.asarray(jax.jit(jax.vmap(first))(jax.random.split(KEY, 4000)))
    mirrors = [np.flip(np.asarray(image[..., 0]), [a for a in range(3) if axes[a]])
               for axes in product((0, 1), repeat=3)]  # fmt: skip
    counts = np.array([(patches == m).all((1, 2, 3)).sum() for m in mirrors]) / len(patches)
    share = 0.8 * 0.8 / 8
    # Four standard errors of a share in 4,000 draws.
    assert np.abs(counts - share).max() < 4 * np.sqrt(share / 4000)


def test_half_of_the_factors_lie_on_either_side_of_one():
    drawn = np.asarray(about_one(KEY, (0.7, 1.5), (4000,)))
    low, high = drawn[drawn < 1], drawn[drawn >= 1]
    # Four standard errors of a share, and of means of uniform numbers.
    assert abs(len(low) / 4000 - 0.5) < 4 * 0.5 / np.sqrt(4000)
    assert abs(low.mean() - 0.85) < 4 * 0.3 / np.sqrt(12 * len(low))
    assert abs(high.mean() - 1.25) < 4 * 0.5 / np.sqrt(12 * len(high))
    assert (about_one(KEY, (1.1, 1.5), (100,)) >= 1.1).all()


def test_refuses_shapes_that_do_not_belong_together():
    with pytest.raises(ValueError, match=r"cannot take a patch \(14, 4, 4\) from a volume"):
        center_crop(LABEL, (14, 4, 4))
    places = (jnp.zeros(PATCH),) * 3
    options = {"image_fill": 0.0, "label_fill": 0}
    with pytest.raises(ValueError, match="expected equal shapes; got image"):
        unwrap(resample_volume)(IMAGE, LABEL[1:], GATE, places, **options)
    with pytest.raises(ValueError, match="image must have 4 axes"):
        unwrap(resample_volume)(IMAGE[..., 0], LABEL, GATE, places, **options)
