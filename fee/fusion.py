"""What the third network sees: the texture of the pancreas on black (Methods, Architectures)."""

import jax.numpy as jnp
from jaxtyping import Array, Num


def fuse(image: Num[Array, "n h w"], mask: Num[Array, "n h w"]) -> Num[Array, "n h w"]:
    """The slice inside the mask, 0 elsewhere.

    image · [mask > 0]

    Args:
      image: gray from 0 to 255, not yet z-scored.
      mask: 0 outside the pancreas; a tumor in it counts as pancreas.

    Returns:
      Of the type of the image.
    """
    return jnp.where(mask > 0, image, jnp.zeros((), image.dtype))
