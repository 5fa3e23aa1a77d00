"""Which pixels of a slice the diagnosis depends on, by one backward pass (Fig. 7)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from core import compiler
from core.types import ModelState, Params
from fee import model
from fee.config import ModelConfig
from fee.loss import fuse, normalize

CLASSES = {"normal": 0, "tumor": 1}

Explain = Callable[
    [UInt8[np.ndarray, "s s"], UInt8[np.ndarray, "s s"], str], Float[np.ndarray, "s s"]
]
"""(gray slice, its mask, decision) → influence of every pixel, at least 0."""


def explainer(cfg: ModelConfig, params: Params, model_state: ModelState) -> Explain:
    """Saliency of a trained diagnosis, compiled once.

    M = |∂S_c / ∂I|, with S_c the logit of the class that was decided for, before softmax, and I the
    gray values of the fused slice: the derivative goes through the z-score. No dropout, and batch
    norm takes its running statistics.

    Args:
      cfg: of the diagnosing network.
      params: trained.
      model_state: batch-norm statistics.

    Returns:
      A function of one slice. A slice without any pancreas has a map of zeros: all its pixels are
      alike, so none stands out, and the z-score has no derivative there.

    Source: Simonyan et al. 2013, Sec. 3.
    """
    program, variables = compiler.of_config(_influence, cfg), jax.device_put((params, model_state))

    def explain(image: np.ndarray, mask: np.ndarray, decision: str) -> np.ndarray:
        fused = np.asarray(fuse(jnp.asarray(image)[None], jnp.asarray(mask)[None]))[0]
        if fused.min() == fused.max():
            return np.zeros(image.shape, np.float32)
        return np.asarray(program(variables, fused, CLASSES[decision]))

    return explain


def brightness(influence: Float[np.ndarray, "s s"]) -> Float[np.ndarray, "s s"]:
    """How a map is shown: 1 − M / max(M), darker where the influence is larger (Fig. 7)."""
    largest = influence.max()
    return 1 - influence / largest if largest > 0 else np.ones_like(influence)


def _influence(
    cfg: ModelConfig, variables: tuple[Params, ModelState], fused: Array, class_: Array
) -> Array:
    def score(gray: Array) -> Array:
        logits, _ = model.apply(cfg, *variables, normalize(gray[None]))
        return logits[0, class_]

    return jnp.abs(jax.grad(score)(fused.astype(jnp.float32)))
