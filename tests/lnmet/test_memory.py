import jax
import jax.numpy as jnp
import numpy as np

from lnmet.anatomy import attention

SHAPE = (32, 48, 64)


def test_attention_of_ten_organs_never_holds_ten_maps():
    organs = jax.ShapeDtypeStruct(SHAPE, jnp.uint8)
    program = jax.jit(lambda organs: attention(organs, (1.0, 0.8, 0.8))).lower(organs).compile()
    memory = program.memory_analysis()
    # Five copies of the volume for one distance transform, one for the highest so far.
    assert memory.temp_size_in_bytes < 6.5 * 4 * np.prod(SHAPE)
