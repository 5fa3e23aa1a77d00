"""Numbers of the radiomics baselines, with their addresses."""

from dataclasses import dataclass

from core import check


@dataclass(frozen=True)
class SignatureConfig:
    """From features of a training fold to the few that are weighed."""

    num_folds: int = 10
    """Of the cross-validation that picks the LASSO's penalty; as many as the rarer status has
    patients where these are fewer (Not stated: what glmnet does)"""
    num_penalties: int = 100
    """Tried, in equal steps of their logarithm (Not stated: glmnet's path)"""
    smallest_penalty: float = 0.05
    """As a share of the least penalty that keeps no feature (Not stated: smaller ones fit noise,
    and take minutes for features that are as alike as these)"""
    ridge: float = 1e-3
    """Squared penalty of the logistic regression where it has no unique maximum without (Not
    stated: small against the likelihood of some hundred patients)"""
    seed: int = 0
    """Of the shuffle into folds (Not stated: any)"""

    def __post_init__(self) -> None:
        if self.num_folds < 2:
            raise ValueError(f"num_folds must be at least 2; got {self.num_folds}")
        if self.num_penalties < 2:
            raise ValueError(f"num_penalties must be at least 2; got {self.num_penalties}")
        if not 0 < self.smallest_penalty < 1:
            raise ValueError(
                f"smallest_penalty must lie between 0 and 1; got {self.smallest_penalty}"
            )
        check.positive("ridge", self.ridge)
