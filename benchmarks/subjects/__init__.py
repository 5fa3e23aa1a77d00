"""What `benchmarks.step` times, a file per paper."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from core.types import ModelState, Params, Variables


class Subject(NamedTuple):
    """A network with fixed arrays, its loss and its optimizer."""

    title: str
    image: np.ndarray
    truth: np.ndarray
    init: Callable[[jax.Array], Variables]
    """Variables from a key."""
    predict: Callable[[Params, ModelState, jax.Array], jax.Array]
    """Logits in evaluation."""
    loss: Callable[[Params, ModelState, jax.Array, jax.Array], tuple[jax.Array, ModelState]]
    """Loss in training of an image and its truth, and the model state after it."""
    tx: optax.GradientTransformation
    twin: Callable[[Variables], Any]
    """The PyTorch peer with the same weights: `forward()` and `step()`."""
