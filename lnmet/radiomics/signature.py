"""The radiomics signature: a few features out of thousands, weighed into a probability.

Everything that looks at statuses or at other patients happens in `fit`, which sees the training
fold alone; scoring a patient is arithmetic on stored numbers.
"""

import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit

from core import json_io
from core.errors import InputError
from lnmet.radiomics.config import SignatureConfig
from lnmet.radiomics.logistic import LEARNER, fit_logistic

logger = logging.getLogger(__name__)

CONSTANT = 1e-10
"""Range of a feature, as a share of its largest absolute value, that is rounding."""
MAX_PASSES = 100_000
"""Of the LASSO's coordinate descent over the features; the paper's took 900 at most."""


class Signature(NamedTuple):
    """Features that the LASSO kept, and their weights; none, the training fold's share.

    Args:
      names: of the kept features.
      columns: of these among all features.
      num_features: that it was fitted on.
      mean: of each kept feature in the training fold.
      std: of each, its standard deviation there.
      coefficients: log-odds for each standard deviation.
      intercept: log-odds at the means.
      penalty: of the LASSO.
      ridge: of the logistic regression; 0 for none.
    """

    names: tuple[str, ...]
    columns: Int[np.ndarray, "k"]
    num_features: int
    mean: Float[np.ndarray, "k"]
    std: Float[np.ndarray, "k"]
    coefficients: Float[np.ndarray, "k"]
    intercept: float
    penalty: float
    ridge: float


def fit(
    features: Float[np.ndarray, "n p"],
    is_positive: Bool[np.ndarray, "n"],
    cfg: SignatureConfig,
    *,
    names: tuple[str, ...],
) -> Signature:
    """Select and weigh features of a training fold.

    Features that do not vary, or are not finite for a patient, are dropped; the others are
    standardized. LASSO, a linear regression on the status 0 or 1 with the penalty of the least
    cross-validated error, keeps some; a logistic regression weighs these anew.

    Args:
      features: of the training patients.
      is_positive: their status.
      cfg: numbers.
      names: of the features.

    Raises:
      InputError: fewer than two patients of a status, or scikit-learn is not installed.
    """
    if len(names) != features.shape[1]:
        raise ValueError(f"{len(names)} names for {features.shape[1]} features")
    rarer = min(int(is_positive.sum()), int((~is_positive).sum()))
    if rarer < 2:
        raise InputError(
            f"radiomics learns from two patients of each status at least; got {rarer} of one",
            hint="use fewer folds, or more patients",
        )
    (varying,) = np.nonzero(_varies(features))
    mean, std = features[:, varying].mean(0), features[:, varying].std(0)
    standard = (features[:, varying] - mean) / std
    kept, penalty = _select(standard, is_positive, min(cfg.num_folds, rarer), cfg)
    model = fit_logistic(standard[:, kept], is_positive, ridge=cfg.ridge)
    return Signature(
        names=tuple(names[column] for column in varying[kept]),
        columns=varying[kept],
        num_features=features.shape[1],
        mean=mean[kept],
        std=std[kept],
        coefficients=model.weights,
        intercept=model.intercept,
        penalty=penalty,
        ridge=model.ridge,
    )


def log_odds(signature: Signature, features: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "n"]:
    """The signature's value: log-odds of metastasis; a feature that is not finite counts as mean.

    Raises:
      ValueError: not as many features as it was fitted on.
    """
    if features.shape[1] != signature.num_features:
        raise ValueError(
            f"the signature was fitted on {signature.num_features} features; got "
            f"{features.shape[1]}"
        )
    standard = (features[:, signature.columns] - signature.mean) / signature.std
    standard = np.where(np.isfinite(standard), standard, 0.0)
    return standard @ signature.coefficients + signature.intercept


def score(signature: Signature, features: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "n"]:
    """Probability of metastasis."""
    return expit(log_odds(signature, features))


def write_signature(path: Path, signature: Signature) -> None:
    """Write a signature as JSON."""
    json_io.write_json(path, signature._asdict())


def read_signature(path: Path) -> Signature:
    """Read what `write_signature` wrote.

    Raises:
      InputError: there is no such file, or it holds no signature.
    """
    content = json_io.read_json(path)
    if not isinstance(content, dict) or set(content) != set(Signature._fields):
        raise InputError("no radiomics signature", path=path, hint="fit it again")
    arrays = {name: np.array(content[name], float) for name in ("mean", "std", "coefficients")}
    columns = np.array(content["columns"], int)
    return Signature(**{**content, **arrays, "names": tuple(content["names"]), "columns": columns})


def _varies(features: Float[np.ndarray, "n p"]) -> Bool[np.ndarray, "p"]:
    finite = np.isfinite(features).all(0)
    known = np.where(finite, features, 0.0)
    return np.ptp(known, axis=0) > CONSTANT * np.abs(known).max(0)


def _select(
    standard: Float[np.ndarray, "n q"],
    is_positive: Bool[np.ndarray, "n"],
    num_folds: int,
    cfg: SignatureConfig,
) -> tuple[Int[np.ndarray, "k"], float]:
    """Features that the LASSO keeps, and its penalty; none where no penalty lets one in."""
    try:
        from sklearn.linear_model import LassoCV
        from sklearn.model_selection import StratifiedKFold
    except ImportError:
        raise InputError("radiomics needs scikit-learn to learn", hint=LEARNER) from None
    status = is_positive.astype(float)
    largest = np.abs(standard.T @ (status - status.mean())).max(initial=0.0) / len(status)
    if largest == 0:
        return np.zeros(0, int), 0.0
    folds = StratifiedKFold(num_folds, shuffle=True, random_state=cfg.seed)
    lasso = LassoCV(
        alphas=largest * np.geomspace(1, cfg.smallest_penalty, cfg.num_penalties),
        cv=list(folds.split(standard, is_positive)),
        max_iter=MAX_PASSES,
    ).fit(standard, status)
    if lasso.alpha_ == lasso.alphas_[-1]:
        logger.warning("the LASSO's best penalty is the smallest; a smaller one may be better")
    return np.flatnonzero(lasso.coef_), float(lasso.alpha_)
