"""What asking the networks of two classes has in common: their probability, their own choices."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float


def positive(logits: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    """Softmax of the second class, in double precision."""
    difference = logits[:, 0].astype(np.float64) - logits[:, 1]
    return np.exp(-np.logaddexp(0, difference))


def own_choices(choices: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Operating choices of one kind of network, as its config has them.

    Args:
      choices: of a call, "section.field" → value.
      section: of this kind of network, whose config has these fields under "infer".
    """
    return {
        f"infer.{name.partition('.')[2]}": value
        for name, value in choices.items()
        if name.partition(".")[0] == section
    }
