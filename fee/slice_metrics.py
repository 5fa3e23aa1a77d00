"""What a training is judged by after every epoch: a row per patient, over the slices of its task.

Cross-entropy without the penalty on kernels, and without augmentation or dropout.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from core import sharding
from core.metrics.classification import accuracy, f1
from core.metrics.overlap import Counts, confusion_counts, mean_iou, total
from core.train.task import Rows
from core.types import ModelState, Params
from fee.config import Config
from fee.data import Example, batch_of
from fee.networks import network

SLICES_AT_A_TIME = 32
"""Read and judged together: 512 × 512 probabilities of them take 34 MB."""
EPS = 1e-7
"""Least probability of the truth that is told from none (Ref: Keras, epsilon)."""


class Tally(NamedTuple):
    """Sums over slices, or over the pixels of slices."""

    entropy: float
    counts: Counts


def evaluator(cfg: Config, validate_on: Sequence[Example]) -> Callable[[Params, ModelState], Rows]:
    """Function from weights to a row per patient.

    Args:
      cfg: the recipe.
      validate_on: slices.

    Returns:
      A function of weights in the host's memory, as `core.train.fit` hands them over, to rows of
      `id`, `loss` and `accuracy` over slices, for `segment` over pixels; and then `dsc` of the
      pancreas in all slices of a patient, and `miou`, the mean IoU of pancreas and background.
    """
    patients: dict[str, list[Example]] = defaultdict(list)
    for example in validate_on:
        patients[example.series.patient].append(example)
    # Every host judges for itself, with its own devices: then all agree when to stop.
    mesh = sharding.mesh(jax.local_devices())

    def evaluate(params: Params, model_state: ModelState) -> Rows:
        predict = network(cfg, params, model_state, mesh)
        rows = []
        for patient, chosen in patients.items():
            starts = range(0, len(chosen), SLICES_AT_A_TIME)
            tallies = [
                _judge(cfg, chosen[first : first + SLICES_AT_A_TIME], predict) for first in starts
            ]
            rows.append({"id": patient, **_row(tallies, cfg)})
        return rows

    return evaluate


def _judge(cfg: Config, chosen: Sequence[Example], predict: Callable[..., NDArray]) -> Tally:
    batch = batch_of(chosen, cfg)
    probs = predict(batch["image"], batch["mask"] if cfg.task == "diagnose" else None)
    truth = (batch["mask"] if cfg.task == "segment" else batch["label"]) == 1
    likely = np.clip(np.where(truth, probs, 1 - probs), EPS, 1)
    entropy = -float(np.log(likely).sum(dtype=np.float64))
    return Tally(entropy, confusion_counts(probs >= 0.5, truth))


def _row(tallies: Sequence[Tally], cfg: Config) -> dict[str, Any]:
    counts = total(tally.counts for tally in tallies)
    loss = sum(tally.entropy for tally in tallies) / sum(counts)
    row = {"loss": loss, "accuracy": accuracy(counts)}
    if cfg.task == "segment":
        row |= {
            "dsc": f1(counts),
            "miou": mean_iou(counts),
        }  # of pixels, F1 is the Dice coefficient
    return row
