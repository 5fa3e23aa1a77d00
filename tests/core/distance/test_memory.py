"""What XLA sets aside for distance transforms, in float32 copies of the volume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.distance.edt import signed, signed_to_labels

SHAPE = (32, 48, 64)


def copies(function) -> float:
    """Copies beside argument and result."""
    label = jax.ShapeDtypeStruct(SHAPE, jnp.uint8)
    memory = jax.jit(function).lower(label).compile().memory_analysis()
    return memory.temp_size_in_bytes / (4 * np.prod(SHAPE))


def test_a_signed_transform_needs_five_copies():
    assert copies(lambda label: signed(label == 1, (1.0, 0.8, 0.8))) < 5


@pytest.mark.parametrize("num", [2, 10])
def test_labels_need_no_more_beside_their_result_however_many(num):
    assert copies(lambda label: signed_to_labels(label, range(1, num + 1), (1.0, 0.8, 0.8))) < 6
