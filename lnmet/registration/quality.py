"""How good a displacement field is by itself: folding, and whether two fields undo each other."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from lnmet.registration.fields import compose


def jacobian_determinant(field: Float[Array, "3 d h w"]) -> Float[Array, "d h w"]:
    """det(I + ∂u/∂x): by how much a voxel grows on its way to the moving image.

    Central differences, one-sided at the border. Ten float32 copies of the grid at a time.
    """
    slopes = [jnp.gradient(component) for component in field]
    (a, b, c), (d, e, f), (g, h, i) = (
        [slopes[row][axis] + (row == axis) for axis in range(3)] for row in range(3)
    )
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def folding_fraction(field: Float[Array, "3 d h w"]) -> Float[Array, ""]:
    """Share of voxels at which the field turns space inside out: determinant not above 0."""
    return jnp.mean((jacobian_determinant(field) <= 0).astype(jnp.float32))


def inverse_consistency_mm(
    forward: Float[Array, "3 d h w"],
    backward: Float[Array, "3 d h w"],
    spacing_mm: Sequence[float] | Float[Array, "3"],
) -> Float[Array, "d h w"]:
    """How far from where it was a voxel ends that goes forward and back: |u(x) + v(x + u(x))|.

    Args:
      forward: u, from the fixed to the moving image.
      backward: v, from the moving to the fixed one, on the same grid.
      spacing_mm: of the grid by axis.
    """
    spacing = jnp.asarray(spacing_mm, jnp.float32).reshape(3, 1, 1, 1)
    return jnp.linalg.norm(compose(backward, forward) * spacing, axis=0)
