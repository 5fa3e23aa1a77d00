"""Losses from the overlap of a probability map with the truth."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from core import check

Values = Array | np.ndarray


def dice_loss(
    probs: Float[Values, "*space c"],
    onehot: Float[Values, "*same k"] | Integer[Values, "*same k"] | Bool[Values, "*same k"],
    *,
    smooth: float | int,
) -> Float[Array, "n c"]:
    """One minus the soft Dice coefficient, per example and class.

    1 − (2 Σ p t + smooth) / (Σ p + Σ t + smooth), sums over space, without squares

    Args:
      probs: (n, *s, c), class probabilities p in [0, 1], of any float type; summed in float32.
      onehot: (n, *s, c), truth t, 0 or 1; for two classes one channel is enough.
      smooth: added to both sides. It makes the loss of an absent class that is not predicted 0,
        and keeps its gradient finite.

    Returns:
      Losses in [0, 1), float32.

    Raises:
      ValueError: the shapes differ, there is no class axis, or smooth is not positive.

    Source: Cancers 2022 (EUSDAF), Eq. 1 with smooth 1; Milletari et al. 2016, without the squares.
    """
    check.same_shape(probs=probs, onehot=onehot)
    check.rank("probs", probs, range(2, 7))
    check.positive("smooth", smooth)
    space = tuple(range(1, probs.ndim - 1))
    p, t = probs.astype(jnp.float32), onehot.astype(jnp.float32)
    both = jnp.sum(p * t, axis=space)
    return 1 - (2 * both + smooth) / (jnp.sum(p, axis=space) + jnp.sum(t, axis=space) + smooth)


def tversky_loss(
    probs: Float[Values, "*space c"],
    onehot: Float[Values, "*same k"] | Integer[Values, "*same k"] | Bool[Values, "*same k"],
    *,
    alpha: float,
    beta: float,
    smooth: float | int,
) -> Float[Array, "n c"]:
    """One minus the Tversky index, per example and class; with α = β = 1 the Dice loss.

    1 − (2 Σ p t + smooth) / (2 Σ p t + α Σ p (1 − t) + β Σ (1 − p) t + smooth), sums over space

    Args:
      probs: (n, *s, c), class probabilities p in [0, 1], of any float type; summed in float32.
      onehot: (n, *s, c), truth t, 0 or 1; for two classes one channel is enough.
      alpha: weight of false positives.
      beta: weight of false negatives; above `alpha` it favors recall.
      smooth: added to both sides, as in `dice_loss`.

    Returns:
      Losses in [0, 1), float32.

    Raises:
      ValueError: the shapes differ, there is no class axis, or a weight or smooth is not positive.

    Source: Zheng et al. 2022, Eq. 3 (α 0.5, β 1.5), plus 1; Salehi et al. 2017.
    """
    check.same_shape(probs=probs, onehot=onehot)
    check.rank("probs", probs, range(2, 7))
    for name, value in (("alpha", alpha), ("beta", beta), ("smooth", smooth)):
        check.positive(name, value)
    space = tuple(range(1, probs.ndim - 1))
    p, t = probs.astype(jnp.float32), onehot.astype(jnp.float32)
    both = jnp.sum(p * t, axis=space)
    false = alpha * (jnp.sum(p, axis=space) - both) + beta * (jnp.sum(t, axis=space) - both)
    return 1 - (2 * both + smooth) / (2 * both + false + smooth)
