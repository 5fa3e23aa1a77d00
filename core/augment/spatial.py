"""Spatial augmentation of one sample: image and label move together."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from core.types import Key

AXIS_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
NUM_SYMMETRIES = 48
AXIAL_SYMMETRIES = tuple(index for index in range(NUM_SYMMETRIES) if index % 6 < 2)
"""Of the first two axis orders, which leave the slice axis where it is."""


def cube_symmetry(
    key: Key,
    image: Float[Array, "d h w c"],
    label: Integer[Array, "d h w"],
    *,
    axial: bool = False,
) -> tuple[Float[Array, "d h w c"], Integer[Array, "d h w"]]:
    """Turn a cubic patch by one of the 48 symmetries of the cube, drawn uniformly.

    The 48 are the 6 orders of the axes times the 8 choices of axes to mirror: every rotation by
    90°, 180°, 270° about the three axes, and every flip.

    Args:
      key: PRNG key.
      image: patch (s, s, s, c).
      label: ids (s, s, s).
      axial: draw from the 16 that keep the slice axis d, flipped or not: thick slices stay slices.

    Returns:
      Image and label, moved by the same symmetry.

    Raises:
      ValueError: if the patch is not a cube, or label and image differ in shape.

    Source: Zhu et al. 2019, Sec. 2.2.
    """
    if image.shape[:3] != label.shape:
        raise ValueError(f"expected equal shapes; got image {image.shape}, label {label.shape}")
    if axial:
        index = jax.random.choice(key, jnp.array(AXIAL_SYMMETRIES))
    else:
        index = jax.random.randint(key, (), 0, NUM_SYMMETRIES)
    return turn_cube(image, index), turn_cube(label, index)


def turn_cube(cube: Array, index: Integer[Array, ""]) -> Array:
    """Symmetry `index` of 48: output axis a runs along input axis order[a], mirrored or not.

    One gather with signed strides. A symmetry is linear in the indices, so four integers say where
    each voxel comes from; with s = 4, strides (16, 4, 1), order (2, 0, 1) and axis 0 mirrored:
    out[i, j, k] = in.ravel()[3 − i + 16 j + 4 k] = in[j, k, 3 − i]. Under vmap this stays one
    gather, where a chain of selected flips and transposes moves the batch five times, and 48
    branches compile for seconds and run one sample after the other.

    Args:
      cube: (s, s, s) or (s, s, s, c).
      index: in [0, 48); order is index % 6, the mirror bits are index // 6.

    Returns:
      The turned cube; same shape and dtype.

    Raises:
      ValueError: if the first three axes differ in size.
    """
    size = cube.shape[0]
    if cube.shape[:3] != (size, size, size):
        raise ValueError(f"a symmetry of the cube needs a cubic patch; got shape {cube.shape}")
    stride = jnp.array([size * size, size, 1])[jnp.array(AXIS_ORDERS)[index % 6]]
    mirrored = (index // 6 >> jnp.arange(3)) & 1 == 1
    first = jnp.sum(jnp.where(mirrored, stride * (size - 1), 0))
    step = jnp.where(mirrored, -stride, stride)
    i, j, k = (jnp.arange(size) * step[axis] for axis in range(3))
    source = first + i[:, None, None] + j[None, :, None] + k[None, None, :]
    flat = cube.reshape(size**3, *cube.shape[3:])
    return jnp.take(flat, source, axis=0, mode="clip")
