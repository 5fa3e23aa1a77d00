"""Three networks on real ultrasound, fold by fold: `python -m benchmarks.study_busi`.

DAF-Net, U-Net and Attention U-Net from scratch on BUSI (Al-Dhabyani et al. 2020), the public
stand-in for endosonography, on the same folds: near-duplicate pictures stay together. Once with
pictures of lesions only, as in the paper, and once with normal ones among them. Whatever is done
already stays: call it again after an interruption.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import harness, results
from benchmarks.provenance import provenance
from core.metrics.compare import wilcoxon_signed_rank
from core.metrics.rows import column
from core.report.table import Table, p_value, percent, to_text
from eusdaf.config import AugmentConfig, Config, ModelConfig, PrepareConfig
from eusdaf.evaluate import evaluate
from eusdaf.evaluation_page import COLUMNS, MEASURES, mean_of_folds
from eusdaf.infer import segment
from eusdaf.prepare import prepare
from eusdaf.recipes import RECIPES
from eusdaf.train import train

logger = logging.getLogger(__name__)

NETWORKS = ("daf", "unet", "attention-unet")
COHORTS = {"lesions": True, "all": False}
"""Whether training leaves normal pictures out."""


def main() -> None:
    """Train, segment and evaluate everything; write the table."""
    args = _arguments()
    harness.talk(__name__, "core", "eusdaf")
    rows = []
    for cohort, lesions_only in COHORTS.items():
        folder = args.out / args.scale / cohort
        cfgs = {
            network: recipe(network, args.scale, epochs=args.epochs, lesions_only=lesions_only)
            for network in args.network or NETWORKS
        }
        preds = [
            pred
            for network, cfg in cfgs.items()
            for pred in cross_validate(cfg, args.data, folder / network, args.out / "prepared")
        ]
        metrics = evaluate(preds, [args.data], folder)
        rows += [_row(cohort, network, args.scale, cfg, metrics) for network, cfg in cfgs.items()]
        results.save("study-busi", rows)
    print(to_text(table(rows)), end="")


def recipe(network: str, scale: str, *, epochs: int | None, lesions_only: bool) -> Config:
    """The recipe of a network, whole or cut down to what two cores train in an hour for all.

    Cut down, all three have pictures of 64 × 64, a first layer of 16 channels, ten epochs and one
    optimizer.
    """
    cfg, tiny = RECIPES[network], RECIPES["tiny"]
    if scale == "two-cores":
        cfg = replace(
            tiny,
            run=replace(tiny.run, epochs=10),
            prepare=PrepareConfig(size=64),
            augment=AugmentConfig(reach_px=0.512, sigma_px=5.12),
            model=tiny.model if network == "daf" else ModelConfig(cfg.model.network, width=16),
            optim=replace(tiny.optim, drop_epochs=(8,)),
        )
    cfg = replace(cfg, data=replace(cfg.data, lesions_only=lesions_only))
    return cfg if epochs is None else replace(cfg, run=replace(cfg.run, epochs=epochs))


def cross_validate(cfg: Config, data: Path, folder: Path, cache: Path) -> list[Path]:
    """Segmentations of the folds of one network; done folds are not done again."""
    prepare([data], cache, cfg.prepare)
    preds = []
    for fold in range(cfg.split.num_folds):
        run, pred = folder / f"fold-{fold}", folder / f"segmented-{fold}"
        preds.append(pred)
        if (pred / "results.json").is_file():
            continue
        logger.info("%s, fold %d", folder, fold)
        train(cfg, [cache], run, fold=fold, resume=True)
        segment([data], [run], pred, probabilities=True, held_out=True)
    return preds


def _row(cohort: str, network: str, scale: str, cfg: Config, metrics: Mapping[str, Any]) -> dict:
    """One line of the table, and of the file of results."""
    summary = metrics["groups"][network]
    folds = summary["folds"]
    return {
        "name": f"busi {scale} {cohort} {network}",
        "cohort": cohort,
        "network": network,
        "recipe": {"epochs": cfg.run.epochs, "batch": cfg.data.batch, "size": cfg.prepare.size},
        "num_lesions": summary["num_lesions"],
        "num_missed": summary["num_missed"],
        "num_normal": summary["num_normal"],
        "num_false_alarms": summary["num_false_alarms"],
        **mean_of_folds(folds),
        "dsc_by_fold": [fold["dsc"] for fold in folds],
        "auc": summary["auc"],
        "p_against_daf": _p_against_daf(network, metrics["rows"]),
        **provenance(),
    }


def _p_against_daf(network: str, rows: Sequence[Mapping[str, Any]]) -> float:
    """Wilcoxon's p for the DSC of the same pictures; nan against itself, or without DAF-Net."""
    theirs = {row["id"]: row for row in rows if row["group"] == "daf"}
    ours = [row for row in rows if row["group"] == network and row["id"] in theirs]
    if network == "daf" or not ours:
        return float("nan")
    pairs = column([theirs[row["id"]] for row in ours], "dsc"), column(ours, "dsc")
    return wilcoxon_signed_rank(*pairs).p_value


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The study at a glance: means over folds, and normal pictures in which something was found."""
    columns = ("trained on", "network", *COLUMNS[1:], "AUC")
    columns += ("missed", "false alarms", "DSC against DAF")
    return Table(
        columns,
        [
            (
                row["cohort"],
                row["network"],
                *(row[name] for name in MEASURES),
                percent(row["success"]),
                row["auc"],
                f"{row['num_missed']}/{row['num_lesions']}",
                f"{row['num_false_alarms']}/{row['num_normal']}",
                p_value(row["p_against_daf"]),
            )
            for row in rows
        ],
    )


def _arguments() -> argparse.Namespace:
    data = results.data_folder()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data / "busi")
    parser.add_argument("--out", type=Path, default=Path("out/study-busi"))
    parser.add_argument("--scale", choices=["full", "two-cores"], default="full")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="default: all")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
