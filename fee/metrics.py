"""Figures of slices after every epoch of a training, and of patients when all is done.

A training is judged by a row per patient, over the slices of its task: cross-entropy without the
penalty on kernels, and without augmentation or dropout. Diagnoses are judged by the figures of the
paper, each with its interval.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from core import sharding
from core.metrics.classification import accuracy, auc, f1
from core.metrics.intervals import bootstrap_interval, delong_interval, f1_interval, wilson_interval
from core.metrics.overlap import Counts, confusion_counts, mean_iou, ratio, total
from core.metrics.rows import Row, column, summarize
from core.train.task import Rows
from core.types import ModelState, Params
from fee.config import Config
from fee.data import Example, batch_of
from fee.networks import network

SLICES_AT_A_TIME = 32
"""Read and judged together: 512 × 512 probabilities of them take 34 MB."""
EPS = 1e-7
"""Least probability of the truth that is told from none (Ref: Keras, epsilon)."""
BOOTSTRAP_SEED = 0
NORMAL, UNTYPED = "normal", "not told"
MEASURED = ("dsc", "miou", "seconds")
COUNTED = (
    "num_files",
    "num_used",
    "num_slices",
    "num_kept",
    "num_annotated_slices",
    "num_right_slices",
    "num_diagnosed",
    "num_right_diagnosed",
)


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
    if cfg.task == "segment":  # of pixels, F1 is the Dice coefficient
        row |= {"dsc": f1(counts), "miou": mean_iou(counts)}
    return row


def summarize_patients(rows: Sequence[Row]) -> dict[str, Any]:
    """Aggregates over patients, with intervals of 95 %.

    Accuracies of `locate` and `diagnose` are over slices; slices of one patient resemble each
    other, so these have no interval.
    """
    called, tumor = (np.array([row[name] for row in rows], bool) for name in ("called", "tumor"))
    scores = np.array([row["score"] for row in rows], float)
    counts = confusion_counts(called, tumor)
    tp, fp, fn, tn = counts
    shares = {
        "accuracy": (tp + tn, len(rows)),
        "precision": (tp, tp + fp),
        "recall": (tp, tp + fn),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
    }
    summary: dict[str, Any] = {f"num_{name}": n for name, n in counts._asdict().items()}
    summary["num_patients"] = len(rows)
    for name, share in shares.items():
        summary |= {name: ratio(*share), f"{name}_ci": wilson_interval(*share)}
    sums = {name: sum(row[name] for row in rows) for name in COUNTED}
    summary |= {
        "f1": f1(counts),
        "f1_ci": f1_interval(counts),
        "auc": auc(scores, tumor),
        "auc_ci": delong_interval(scores, tumor),
        **sums,
        "locate_accuracy": ratio(sums["num_right_slices"], sums["num_annotated_slices"]),
        "diagnose_accuracy": ratio(sums["num_right_diagnosed"], sums["num_diagnosed"]),
        "types": by_type(rows),
    }
    if rows:
        summary |= summarize(rows, MEASURED)
        for name in ("dsc", "miou"):
            summary[f"{name}_ci"] = bootstrap_interval(column(rows, name), seed=BOOTSTRAP_SEED)
    return summary


def by_type(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Accuracy among the patients of each type of tumor, and among those without (Fig. 6C)."""
    types: dict[str, list[bool]] = {}
    for row in rows:
        name = (row["tumor_type"] or UNTYPED) if row["tumor"] else NORMAL
        types.setdefault(name, []).append(row["right"])
    return [
        {
            "type": name,
            "num": len(answers),
            "num_right": sum(answers),
            "accuracy": ratio(sum(answers), len(answers)),
            "accuracy_ci": wilson_interval(sum(answers), len(answers)),
        }
        for name, answers in types.items()
    ]
