"""Lymph nodes with and without attention: `python -m benchmarks.study_attention`.

The recipes tiny-nodes and tiny-nodes-no-attention on the same folds of one cohort of phantoms, a
seed for each fold. Organs are the true ones. What counts is the precision of instances at equal
recall: the highest recall that both networks of a fold reach. Whatever is done already stays: call
it again after an interruption.
"""

import argparse
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, results
from benchmarks.provenance import provenance
from core.io import nifti
from core.json_io import read_json
from core.metrics.detection import (
    Candidates,
    Point,
    instance_rates,
    precision_at_recall,
    precision_recall_curve,
)
from core.metrics.instances import instances, overlaps
from core.report.table import Table, percent, to_text
from core.volume import canonical
from lnmet.cases import read_cases
from lnmet.config import RECIPES
from lnmet.demo import write_phantoms
from lnmet.infer import segment
from lnmet.label_files import SEGMENTATION
from lnmet.labels import NODE
from lnmet.node_evaluation import MIN_IOU
from lnmet.prepare import prepare
from lnmet.train import train

logger = logging.getLogger(__name__)

NETWORKS = ("tiny-nodes", "tiny-nodes-no-attention")
COHORT_SEED, NUM_PATIENTS = 7, 30
THRESHOLD = 0.3
"""Of a voxel of a candidate; the score of a candidate is its mean probability."""


def main() -> None:
    """Train and segment every fold; write the rows and print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/study_attention"))
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args()
    harness.talk(__name__, "core", "lnmet")
    data, cache = args.out / "phantoms", args.out / "prepared"
    if not data.exists():
        write_phantoms(data, num_cases=NUM_PATIENTS, seed=COHORT_SEED)
    prepare([data], cache, RECIPES[NETWORKS[0]].prepare)
    rows = []
    for fold in range(args.folds):
        outputs = [_segmented(name, data, cache, args, fold) for name in NETWORKS]
        rows += compared(data, outputs, fold, args.steps)
    facts = provenance()
    results.save("study-attention", [row | facts for row in rows])
    print(to_text(table(rows)), end="")


def _segmented(name: str, data: Path, cache: Path, args: argparse.Namespace, fold: int) -> Path:
    run = args.out / "runs" / f"{name}-{fold}"
    cfg = RECIPES[name]
    cfg = replace(cfg, run=replace(cfg.run, steps=args.steps, seed=fold))
    if not (run / "manifest.json").is_file():
        train(cfg, [cache], run, fold=fold, resume=run.exists())
    out = args.out / "predictions" / f"{name}-{fold}"
    segment(
        [data],
        runs=[run],
        out=out,
        organs=data / "labelsTr",
        held_out=True,
        choices={"infer.threshold": THRESHOLD, "infer.overlap": 0.5},
    )
    return out


def compared(
    data: Path, outputs: Sequence[Path], fold: int, steps: int
) -> Iterator[dict[str, Any]]:
    """A row for each network of a fold."""
    patients = [candidates(data, out) for out in outputs]
    curves = [precision_recall_curve(of_network, min_iou=MIN_IOU) for of_network in patients]
    recall = min(_highest_recall(curve) for curve in curves)
    for name, of_network, curve in zip(NETWORKS, patients, curves, strict=True):
        rates = [instance_rates(patient.iou, min_iou=MIN_IOU) for patient in of_network]
        yield {
            "name": f"fold and seed {fold}, {steps} steps, {name}",
            "num_patients": len(of_network),
            "recall": recall,
            "precision_at_recall": precision_at_recall(curve, recall),
            "instance_recall": float(np.nanmean([r["instance_recall"] for r in rates])),
            "instance_precision": float(np.nanmean([r["instance_precision"] for r in rates])),
        }


def candidates(data: Path, out: Path) -> list[Candidates]:
    """Predicted nodes of every held-out patient, and how far they cover the true ones."""
    truths = {case.id: case for case in read_cases(data).cases}
    patients = []
    for row in read_json(out / "results.json")["cases"]:
        folder = out / "cases" / row["id"]
        pred = canonical(nifti.read_label(folder / SEGMENTATION)).array >= NODE
        true = truths[row["id"]].read_label().array >= NODE
        iou = overlaps(instances(pred, min_voxels=1), instances(true, min_voxels=1)).iou
        nodes = read_json(folder / "prediction.json")["nodes"]
        patients.append(Candidates(iou, np.array([node["score"] for node in nodes])))
    return patients


def _highest_recall(curve: Sequence[Point]) -> float:
    return max((point.recall for point in curve), default=0.0)


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """A line for each network and fold."""
    names = ("recall", "precision_at_recall", "instance_recall", "instance_precision")
    lines = [(row["name"], *(percent(row[name]) for name in names)) for row in rows]
    return Table(("", "equal recall", "precision there", "recall", "precision"), lines)


if __name__ == "__main__":
    main()
