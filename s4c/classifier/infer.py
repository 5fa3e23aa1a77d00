"""Asking for the class of a scan: from its coarse segmentation to a region and a probability."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int32, UInt8

from core import compiler
from core.config import overridden
from core.data import patches
from core.datasets.pancreas import BACKGROUND
from core.infer.load import Run
from core.preprocess.crop import Box, bounding_box
from core.types import Params
from s4c.classifier.config import ClassifierConfig, ModelConfig
from s4c.classifier.data import bucketed, padded
from s4c.classifier.features import Extract, extractor, region
from s4c.classifier.runs import is_own_choice
from s4c.config import Config
from s4c.model import classifier

Ask = Callable[[Float[np.ndarray, "d h w c"]], float]
"""Features of a region → probability of a tumor."""


class Classified(NamedTuple):
    """Class of a scan.

    Args:
      positive: whether it has a tumor.
      score: probability of that.
      roi: region that was looked at; None where no pancreas was found, which is a normal scan.
    """

    positive: bool
    score: float
    roi: Box | None


class Classifier(NamedTuple):
    """A trained network, behind the coarse one that sees for it."""

    cfg: ClassifierConfig
    extract: Extract
    ask: Ask

    def __call__(
        self, image: Float[np.ndarray, "d h w"], label: UInt8[np.ndarray, "d h w"]
    ) -> Classified:
        """Class of one scan.

        Args:
          image: normalised, canonical orientation.
          label: what the coarse network segments in it.
        """
        pancreas = bounding_box(label != BACKGROUND)
        if pancreas is None:
            return Classified(False, 0.0, None)
        roi = region(pancreas, self.cfg.infer.roi_margin, image.shape)
        # Beyond a scan is its mean, as where windows reach there.
        cut = partial(patches.extract, image, fill=0.0)
        score = self.ask(self.extract(cut, roi))
        return Classified(score >= self.cfg.infer.threshold, score, roi)


def load_classifier(
    run: Run[ClassifierConfig], coarse: Run[Config], choices: Mapping[str, Any]
) -> Classifier:
    """Load a trained network.

    Args:
      run: of `s4c.classifier.runs.open_classifiers`.
      coarse: of the network whose features it learned from.
      choices: operating choices, of which "classify.…" override the config's.
    """
    extract = extractor(coarse.cfg.model, *coarse.weights())
    ask = asker(run.cfg.model, run.weights()[0])
    return Classifier(asked(run.cfg, choices), extract, ask)


def asked(cfg: ClassifierConfig, choices: Mapping[str, Any]) -> ClassifierConfig:
    """Config with the operating choices that are a classifier's, "classify.threshold"."""
    own = {f"infer.{n.partition('.')[2]}": choices[n] for n in choices if is_own_choice(n)}
    return overridden(cfg, own)


def asker(cfg: ModelConfig, params: Params) -> Ask:
    """A network over a region of any size, compiled once for a bucket of sizes.

    Args:
      cfg: of the network.
      params: its parameters.
    """
    apply = compiler.of_config(probability, cfg)

    def ask(features: Float[np.ndarray, "d h w c"]) -> float:
        size = np.array([features.shape[:3]], np.int32)
        return float(apply(params, padded(features, bucketed(features.shape[:3]))[None], size))

    return ask


def probability(
    cfg: ModelConfig, params: Params, features: Float[Array, "1 d h w c"], size: Int32[Array, "1 3"]
) -> Float[Array, ""]:
    """Probability of a tumor, from the features of one region in an array of a bucket's shape."""
    return jax.nn.softmax(classifier.apply(cfg, params, features, size))[0, 1]
