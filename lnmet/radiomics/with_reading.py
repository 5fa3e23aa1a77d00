"""Radiomics and what the radiologist reported of the nodes, weighed together (Table VI)."""

import numpy as np
from jaxtyping import Bool, Float

from lnmet.radiomics.config import SignatureConfig
from lnmet.radiomics.logistic import Logistic, fit_logistic, probability


def fit_with_reading(
    signature: Float[np.ndarray, "n"],
    is_reported: Bool[np.ndarray, "n"],
    is_positive: Bool[np.ndarray, "n"],
    cfg: SignatureConfig,
) -> Logistic:
    """Logistic regression of the status on the signature and the CT-reported status.

    Args:
      signature: log-odds of `signature.log_odds`, of the patients that it was fitted on.
      is_reported: whether their CT report calls nodes metastatic.
      is_positive: their status.
      cfg: numbers.

    Raises:
      InputError: scikit-learn is not installed.
    """
    return fit_logistic(_inputs(signature, is_reported), is_positive, ridge=cfg.ridge)


def score_with_reading(
    model: Logistic, signature: Float[np.ndarray, "n"], is_reported: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "n"]:
    """Probability of metastasis, given the signature's log-odds and the CT report."""
    return probability(model, _inputs(signature, is_reported))


def _inputs(
    signature: Float[np.ndarray, "n"], is_reported: Bool[np.ndarray, "n"]
) -> Float[np.ndarray, "n 2"]:
    return np.column_stack([signature, is_reported.astype(float)])
