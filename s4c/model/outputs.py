"""What every network of S4C puts out."""

from typing import NamedTuple

from jaxtyping import Array, Float


class Outputs(NamedTuple):
    """Logits at full resolution: the answer, and in training the auxiliary ones."""

    main: Float[Array, "n d h w c"]
    aux: tuple[Float[Array, "n d h w c"], ...]
    """#1 from half resolution, #2 from a quarter; empty in evaluation, and of the networks that
    ResDSN is compared with."""
