"""Losses from information theory."""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from core import check

Values = Array | np.ndarray


def cross_entropy(
    logits: Float[Values, "*space c"],
    label: Integer[Values, "*same"],
    *,
    class_weights: Sequence[float] | None = None,
) -> Float[Array, "n"]:
    """Softmax cross-entropy per example, the mean over its voxels.

    mean_x w_{y(x)} ( log Σ_k exp z_k(x) − z_{y(x)}(x) )

    One term per class on whole channels, without a gather or a one-hot array. At four patches of
    64³ with three classes, forward and backward on two CPU cores take 3.6 ms, where one-hot ·
    log_softmax takes 13 and take_along_axis 48; `c` is meant to be small, as in segmentation.

    Args:
      logits: (n, *s, c), unnormalized scores z of any float type; computed in float32.
      label: (n, *s), class ids y in [0, c). An id outside adds nothing: check ids on the host.
      class_weights: w, one per class; None is 1 for all. They are not normalized, so that a voxel
        weighs the same whatever else its patch holds.

    Returns:
      Natural-log loss, float32.

    Raises:
      ValueError: the shapes do not belong together.

    Source: Zhu et al. 2019, Sec. 2.2 ("voxel-wise cross-entropy loss").
    """
    if logits.shape[:-1] != label.shape:
        raise ValueError(
            f"label must have the shape of logits without its last axis, {logits.shape[:-1]}; "
            f"got {label.shape}"
        )
    check.rank("label", label, range(1, 6))
    num_classes = logits.shape[-1]
    weights = [1.0] * num_classes if class_weights is None else class_weights
    if len(weights) != num_classes:
        raise ValueError(f"expected {num_classes} class_weights; got {weights}")
    channels = [logits[..., k].astype(jnp.float32) for k in range(num_classes)]
    # The loss does not change when all logits move by one constant, so neither does its gradient.
    top = jax.lax.stop_gradient(reduce(jnp.maximum, channels))
    shifted = [z - top for z in channels]
    log_sum = jnp.log(sum(jnp.exp(z) for z in shifted))
    per_class = zip(weights, shifted, strict=True)
    terms = [jnp.where(label == k, w * (log_sum - z), 0.0) for k, (w, z) in enumerate(per_class)]
    return jnp.mean(sum(terms), axis=range(1, label.ndim))
