"""What the suite `step` times, a file per paper.

On two cores batches and patches are cut down to what they do in seconds; accelerators have the
paper's. A module has `PEER`, of `benchmarks.peers`, `NAMES` with the groups of each, and `subject`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from core.types import ModelState, Params, Variables

EVERYWHERE = ("cpu", "gpu")


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
    twin: Callable[[Any, Variables], Any]
    """From the peer's module and our weights, what `benchmarks.peers.torch_bench` times."""


def on_cpu() -> bool:
    """Whether sizes are cut down."""
    return jax.default_backend() == "cpu"


def suffix(dtype: str) -> str:
    """What a title ends with."""
    return "" if dtype == "float32" else f" {dtype}"
