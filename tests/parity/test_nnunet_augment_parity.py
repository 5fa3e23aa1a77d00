"""Each of nnU-Net's augmentations beside batchgeneratorsv2's: at the same numbers, then drawn."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.config import VolumeAugmentConfig
from core.augment.nnunet import change_intensity, nnunet
from core.augment.volume_blur import blurred, coarsened
from core.augment.volume_intensity import brightened, contrasted, powered
from core.augment.volume_resample import resample_volume
from core.augment.volume_warp import affine_matrix, affine_source, warp_volume

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
pytest.importorskip("batchgeneratorsv2")

from benchmarks.peers import batchgeneratorsv2_kernels as peer  # noqa: E402

SHAPE, PATCH = (18, 26, 22), (12, 20, 16)
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(*SHAPE, 2)).astype(np.float32)
LABEL = RNG.integers(0, 4, SHAPE).astype(np.int32)
GATE = RNG.random(SHAPE, np.float32)
INTENSITIES = peer.intensities()


def to_torch(image):
    return torch.from_numpy(np.moveaxis(np.asarray(image), -1, 0).copy())


def from_torch(image):
    return np.moveaxis(image.numpy(), 0, -1)


def at(name, **params):
    """What the peer's change of that name makes of the image at given parameters."""
    params = {key: torch.as_tensor(value) for key, value in params.items()}
    return from_torch(INTENSITIES[name][1]._apply_to_image(to_torch(IMAGE), **params))


def turned_by_peer(affine):
    """Image, label and gate of the peer, whose grid is made from a given matrix."""
    from batchgeneratorsv2.transforms.spatial import spatial

    transform = peer.spatial(PATCH)
    grid = transform._get_base_grid_clone() @ torch.from_numpy(affine.T).float()
    grid = spatial._convert_my_grid_to_grid_sample_grid(grid, SHAPE)
    label = transform._apply_to_segmentation(torch.from_numpy(LABEL[None]), grid=grid)
    gate = transform._apply_to_regr_target(torch.from_numpy(GATE[None]), grid=grid)
    image = transform._apply_to_image(to_torch(IMAGE), grid=grid)
    return from_torch(image), label[0].numpy(), gate[0].numpy()


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (30.0, 0.0, 0.0), (-21.0, 13.0, 28.0)])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_a_turned_and_scaled_patch_is_the_peers(angles, scale):
    from batchgeneratorsv2.transforms.spatial.spatial import create_affine_matrix_3d

    radians = np.deg2rad(angles)
    theirs = create_affine_matrix_3d(radians, [scale] * 3)
    ours = affine_matrix(jnp.asarray(radians, jnp.float32), scale)
    # Products of float32.
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    source = affine_source(SHAPE, PATCH, ours, jnp.zeros(3, bool))
    arrays = map(jnp.asarray, (IMAGE, LABEL, GATE))
    image, label, gate = resample_volume(*arrays, source, image_fill=0.0, label_fill=-1)
    image_there, label_there, gate_there = turned_by_peer(theirs)
    # Places are up to 20 voxels from the middle: 4e-6 of a voxel in float32, at steps of up to 6.
    np.testing.assert_allclose(image, image_there, atol=5e-5)
    np.testing.assert_allclose(gate, gate_there, atol=5e-5)
    # The peer's scores have 10 bits, and so more ties: some in a thousand voxels of random labels.
    assert (np.asarray(label) == label_there).mean() > 0.99


def test_where_nothing_is_drawn_the_patch_is_the_peers_at_odd_differences_too():
    for shape in ((19, 26, 23), (13, 21, 17)):
        image = RNG.normal(size=(*shape, 1)).astype(np.float32)
        label = np.zeros(shape, np.int32)
        cfg = VolumeAugmentConfig(scheme="none")
        run = partial(nnunet, jax.random.key(0), patch=PATCH, cfg=cfg)
        expected = peer.spatial(PATCH, 0.0)(image=to_torch(image))["image"]
        ours = run(jnp.asarray(image), jnp.asarray(label), None)[0]
        np.testing.assert_array_equal(ours, from_torch(expected))


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("widths", [(0.5, 0.55, 0.6), (0.7, 0.9, 0.91), (0.92, 0.97, 1.0)])
def test_a_blurred_channel_is_the_peers(widths):
    sigma = jnp.array([widths, widths[::-1]])
    ours = blurred(jnp.asarray(IMAGE), sigma)
    blur = INTENSITIES["blur"][1]
    params = {"apply_to_channel": torch.tensor([True, True]), "sigmas": sigma.tolist()}
    theirs = from_torch(blur._apply_to_image(to_torch(IMAGE), **params))
    # Sums of at most seven products of float32, thrice.
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


FACTORS = [0.75, 1.2]


@pytest.mark.parametrize(("name", "ours"), [("brightness", brightened), ("contrast", contrasted)])
def test_a_multiplied_channel_is_the_peers(name, ours):
    theirs = at(name, apply_to_channel=[0, 1], multipliers=FACTORS)
    # The means of 10,296 numbers are summed in another order.
    np.testing.assert_allclose(ours(jnp.asarray(IMAGE), jnp.array(FACTORS)), theirs, atol=1e-6)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("gamma", [[0.7, 1.5], [1.0, 0.8]])
def test_a_power_of_a_channel_is_the_peers(inverted, gamma):
    sign = -1 if inverted else 1
    ours = sign * powered(sign * jnp.asarray(IMAGE), jnp.array(gamma))
    stats = {"retain_stats": [True, True], "invert_image": [inverted] * 2}
    theirs = at("gamma", apply_to_channel=[0, 1], gamma=gamma, **stats)
    # Means and deviations of 10,296 numbers summed in another order, and powers of float32.
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("zoom", [0.5, 0.61, 0.75, 0.83, 0.99, 1.0])
def test_a_channel_of_low_resolution_is_the_peers(zoom):
    zooms = np.array([zoom, 0.7], np.float32)
    scales = np.repeat(zooms[:, None], 3, axis=1)
    theirs = at("low resolution", apply_to_channel=[0, 1], scales=scales)
    # Places up to 26 are told to 2e-6 of a voxel in float32, at steps of up to 6.
    np.testing.assert_allclose(coarsened(jnp.asarray(IMAGE), zooms), theirs, atol=2e-5)


def mean_and_change(images, image):
    """Mean of each channel, and root mean square of what changed, of every draw (n, 2 c)."""
    space, change = (1, 2, 3), images - image[None]
    return np.concatenate([images.mean(space), np.sqrt((change**2).mean(space))], axis=1)


def assert_same_moments(ours, theirs):
    """Means and standard deviations over the draws agree within four standard errors."""
    gap = np.abs(ours.mean(0) - theirs.mean(0))
    error = np.sqrt((ours.var(0) + theirs.var(0)) / len(ours))
    assert (gap <= 4 * error).all(), (gap, error)
    # Variance of a sample's variance: (m₄ − σ⁴) / n.
    fourth = sum(((x - x.mean(0)) ** 4).mean(0) - x.var(0) ** 2 for x in (ours, theirs))
    gap = np.abs(ours.var(0) - theirs.var(0))
    assert (gap <= 4 * np.sqrt(fourth / len(ours))).all(), (gap, fourth)


@pytest.fixture
def seeded():
    """The peer draws from global generators; threads cost more than they give at this size."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


SMALL = (1 + 2 * RNG.random((8, 10, 9, 2))).astype(np.float32)
KEYS, MANY_KEYS = (jax.random.split(jax.random.key(0), n) for n in (400, 1600))
NEVER = {f"{name.replace(' ', '_')}_probability": 0.0 for name in INTENSITIES}
NEVER["inverted_gamma_probability"] = NEVER.pop("gamma_of_the_negative_probability")


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("name", INTENSITIES)
def test_a_change_of_intensity_is_drawn_as_the_peer_draws_it(name):
    field = "inverted_gamma" if name == "gamma of the negative" else name.replace(" ", "_")
    probability, transform = INTENSITIES[name]
    wanted = getattr(VolumeAugmentConfig(), f"{field}_probability")
    assert wanted == probability
    cfg = replace(VolumeAugmentConfig(), **NEVER | {f"{field}_probability": 1.0})
    ours = jax.jit(jax.vmap(lambda key: change_intensity(key, jnp.asarray(SMALL), cfg)))(MANY_KEYS)
    theirs = np.stack([from_torch(transform(image=to_torch(SMALL))["image"]) for _ in MANY_KEYS])
    ours, theirs = (mean_and_change(np.asarray(x, np.float64), SMALL) for x in (ours, theirs))
    # Of a mean that a change leaves as it is, rounding alone varies.
    varied = theirs.std(0) > 1e-5
    assert varied.any()
    assert_same_moments(ours[:, varied], theirs[:, varied])


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("probability", [0.2, 1.0])
def test_rotation_and_scale_are_drawn_as_the_peer_draws_them(probability):
    """Of a ball beside the middle: its volume, and where its center comes to lie."""
    shape, patch = (19, 23, 21), (13, 17, 15)
    steps = np.stack(np.indices(shape), -1) - np.array([6, 15, 8])
    label = (np.linalg.norm(steps, axis=-1) < 4).astype(np.int32)
    image = np.clip(4.5 - np.linalg.norm(steps, axis=-1), 0, 1)[..., None].astype(np.float32)
    cfg = replace(
        VolumeAugmentConfig(), rotation_probability=probability, scaling_probability=probability,
        mirror_probability=0.0,
    )  # fmt: skip

    def run(key):
        arrays = map(jnp.asarray, (image, label, image[..., 0]))
        return warp_volume(key, *arrays, patch=patch, cfg=cfg)

    ours = [np.asarray(x, np.float64) for x in jax.jit(jax.vmap(run))(KEYS)]
    transform, theirs = peer.spatial(patch, probability), []
    for _ in KEYS:
        arrays = {"image": to_torch(image), "segmentation": torch.from_numpy(label[None])}
        out = transform(**arrays, regression_target=to_torch(image))
        label_there = out["segmentation"][0].clamp(min=0).numpy()
        theirs.append((from_torch(out["image"]), label_there, out["regression_target"][0].numpy()))

    def moments(weights):
        mass = weights.sum((1, 2, 3))
        first = [(weights * i).sum((1, 2, 3)) / mass for i in np.indices(patch)]
        return np.stack([mass, *first], axis=1)

    image_there, label_there, gate_there = (
        np.stack(x).astype(np.float64) for x in zip(*theirs, strict=True)
    )
    assert_same_moments(moments(ours[0][..., 0]), moments(image_there[..., 0]))
    assert_same_moments(moments(ours[1]), moments(label_there))
    assert_same_moments(moments(ours[2]), moments(gate_there))


@pytest.mark.usefixtures("seeded")
def test_the_whole_list_is_drawn_as_the_peer_draws_it():
    shape, patch = (15, 19, 17), (9, 13, 11)
    image = (1 + RNG.random((*shape, 2))).astype(np.float32)
    label, gate = RNG.integers(0, 3, shape).astype(np.int32), RNG.random(shape, np.float32)
    cfg = VolumeAugmentConfig()

    def run(key):
        return nnunet(key, *map(jnp.asarray, (image, label, gate)), patch=patch, cfg=cfg)

    whole, channels_first = peer.Augmentation(patch), np.moveaxis(image, -1, 0)
    theirs = [
        np.stack(x) for x in zip(*(whole(channels_first, label, gate) for _ in KEYS), strict=True)
    ]
    theirs[0] = np.moveaxis(theirs[0], 1, -1)
    ours = [np.asarray(x) for x in jax.jit(jax.vmap(run))(KEYS)]
    for a, b in zip(ours, theirs, strict=True):
        a, b = (x.reshape(*x.shape[:4], -1) for x in (a, b))
        middle = b.mean(0)
        assert_same_moments(mean_and_change(a, middle), mean_and_change(b, middle))
