"""Each of nnU-Net's augmentations beside batchgeneratorsv2's, at the same numbers."""

import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.volume_resample import resample_volume
from core.augment.volume_warp import affine_matrix, affine_source

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")
pytest.importorskip("batchgeneratorsv2")

SHAPE, PATCH = (18, 26, 22), (12, 20, 16)
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(*SHAPE, 2)).astype(np.float32)
LABEL = RNG.integers(0, 4, SHAPE).astype(np.int32)
GATE = RNG.random(SHAPE, np.float32)
UNMIRRORED = jnp.zeros(3, bool)


def to_torch(image):
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(np.asarray(image), -1, 0)))


def changed(transform, image=IMAGE, **params):
    """What the peer makes of an image at given parameters, in our layout."""
    return np.moveaxis(transform._apply_to_image(to_torch(image), **params).numpy(), 0, -1)


def peer_warp(affine):
    """Image, label and gate turned by the peer, whose grid is made from a given matrix."""
    from batchgeneratorsv2.transforms.spatial import spatial

    transform = spatial.SpatialTransform(
        PATCH, 0, False, border_mode_seg="constant", padding_value_seg=-1
    )
    grid = transform._get_base_grid_clone() @ torch.from_numpy(affine.T).float()
    grid = spatial._convert_my_grid_to_grid_sample_grid(grid, SHAPE)
    label = transform._apply_to_segmentation(torch.from_numpy(LABEL[None]), grid=grid)
    gate = transform._apply_to_regr_target(torch.from_numpy(GATE[None]), grid=grid)
    return changed(transform, grid=grid), label[0].numpy(), gate[0].numpy()


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (30.0, 0.0, 0.0), (-21.0, 13.0, 28.0)])
@pytest.mark.parametrize("scale", [0.7, 1.0, 1.4])
def test_a_turned_and_scaled_patch_is_the_peers(angles, scale):
    from batchgeneratorsv2.transforms.spatial.spatial import create_affine_matrix_3d

    radians = np.deg2rad(angles)
    theirs = create_affine_matrix_3d(radians, [scale] * 3)
    ours = affine_matrix(jnp.asarray(radians, jnp.float32), scale)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    source = affine_source(SHAPE, PATCH, ours, UNMIRRORED)
    image, label, gate = resample_volume(
        jnp.asarray(IMAGE),
        jnp.asarray(LABEL),
        jnp.asarray(GATE),
        source,
        image_fill=0.0,
        label_fill=-1,
    )
    image_there, label_there, gate_there = peer_warp(theirs)
    # Places are up to 20 voxels from the middle in float32: 1e-6 of a voxel, on noise of steps of
    # up to 6 from voxel to voxel.
    np.testing.assert_allclose(image, image_there, atol=5e-5)
    np.testing.assert_allclose(gate, gate_there, atol=5e-5)
    # The peer's scores have 10 bits, so that it sees ties where ours do not; they are in labels as
    # random as these, of four ids, and in no more than a few of a thousand voxels.
    assert (np.asarray(label) == label_there).mean() > 0.99
