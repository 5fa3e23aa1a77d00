import jax
import jax.numpy as jnp
import numpy as np

from lnmet.registration import quality

SHAPE = (5, 6, 7)


def affine_field(matrix: np.ndarray) -> jax.Array:
    """u(x) = (A − I) x."""
    places = np.indices(SHAPE, np.float32)
    return jnp.asarray(np.einsum("ab,bdhw->adhw", matrix - np.eye(3), places), jnp.float32)


def test_jacobian_of_an_affine_field_is_its_determinant():
    matrix = np.array([[1.2, 0.1, -0.3], [0.2, 0.8, 0.1], [0.0, -0.4, 1.5]])
    determinant = quality.jacobian_determinant(affine_field(matrix))
    # Differences of float32 places up to 7, each rounded to some 5e-7.
    np.testing.assert_allclose(determinant, np.linalg.det(matrix), rtol=1e-5)


def test_only_what_is_turned_inside_out_counts_as_folded():
    assert quality.folding_fraction(affine_field(np.diag([0.1, 1.0, 1.0]))) == 0
    assert quality.folding_fraction(affine_field(np.diag([-1.0, 1.0, 1.0]))) == 1
    field = affine_field(np.eye(3)).at[0, 3].set(-2.5)  # slice 3 comes to lie before slice 1
    # Central differences: slices 2 (1 − 2.5 / 2 < 0) of five turn over, 4 (one-sided) does not.
    assert quality.folding_fraction(field) == np.float32(1 / 5)


def test_fields_that_undo_each_other_are_consistent_and_others_err_in_mm():
    there = jnp.zeros((3, *SHAPE)).at[1].set(2)
    spacing = (5.0, 3.0, 1.0)
    np.testing.assert_array_equal(quality.inverse_consistency_mm(there, -there, spacing), 0)
    np.testing.assert_array_equal(quality.inverse_consistency_mm(there, 0 * there, spacing), 6)
