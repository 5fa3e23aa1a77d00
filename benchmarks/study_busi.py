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

from benchmarks import harness
from core.json_io import read_json
from core.metrics.hypothesis import wilcoxon_signed_rank
from core.metrics.rows import column
from core.report import manifest
from core.report.table import Table, p_value, percent, to_text
from eusdaf.config import RECIPES, AugmentConfig, Config, ModelConfig, PrepareConfig
from eusdaf.evaluate import evaluate
from eusdaf.infer import segment
from eusdaf.prepare import prepare
from eusdaf.train import train

logger = logging.getLogger(__name__)

NETWORKS = ("daf", "unet", "attention-unet")
COHORTS = {"lesions": True, "all": False}
"""Whether training leaves normal pictures out."""
MEASURES = ("dsc", "iou", "avd", "hd", "mad", "sensitivity", "specificity", "precision", "success")
TITLES = ("DSC", "IoU", "AVD", "HD", "MAD", "SEN", "SP", "PC", "IoU > 0.5")


def main() -> None:
    """Train, segment and evaluate everything; write the table."""
    args = _arguments()
    harness.talk(__name__, "core", "eusdaf")
    rows = []
    for cohort, lesions_only in COHORTS.items():
        found = {}
        for network in args.network or NETWORKS:
            cfg = recipe(network, args.scale, epochs=args.epochs, lesions_only=lesions_only)
            folder = args.out / args.scale / cohort / network
            found[network] = cross_validate(cfg, args.data, folder, args.out / "prepared")
            rows.append(_row(cohort, network, args.scale, cfg, found))
            harness.save("study-busi", rows)
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


def cross_validate(cfg: Config, data: Path, folder: Path, cache: Path) -> dict[str, Any]:
    """Content of metrics.json over all folds of one network; done folds are not done again."""
    if (folder / "metrics.json").is_file():
        return read_json(folder / "metrics.json")
    prepare(data, cache, cfg.prepare)
    preds = []
    for fold in range(cfg.split.num_folds):
        run, pred = folder / f"fold-{fold}", folder / f"segmented-{fold}"
        preds.append(pred)
        if (pred / "results.json").is_file():
            continue
        logger.info("%s, fold %d", folder, fold)
        train(cfg, cache, run, fold=fold, resume=True)
        segment([data], [run], pred, probabilities=True, held_out=True)
    return evaluate(preds, data, folder)


def _row(cohort: str, network: str, scale: str, cfg: Config, found: Mapping[str, Any]) -> dict:
    """One line of the table, and of the file of results."""
    metrics = found[network]
    summary, folds = metrics["summary"], metrics["folds"]
    return {
        "name": f"busi {scale} {cohort} {network}",
        "cohort": cohort,
        "network": network,
        "recipe": {"epochs": cfg.run.epochs, "batch": cfg.data.batch, "size": cfg.prepare.size},
        "num_lesions": summary["num_lesions"],
        "num_missed": summary["num_missed"],
        "num_normal": summary["num_normal"],
        "num_false_alarms": summary["num_false_alarms"],
        **{name: mean_over_folds(folds, name) for name in MEASURES},
        "dsc_by_fold": [fold["dsc"] for fold in folds],
        "auc": summary["auc"],
        "p_against_daf": _p_against(found.get("daf"), metrics),
        "device": harness.device(),
        "versions": manifest.versions(),
        "commit": manifest.commit(Path(__file__).parent),
    }


def mean_over_folds(folds: Sequence[Mapping[str, float]], name: str) -> float:
    """Mean of the folds' means, as in the paper (Sec. 2.5)."""
    return sum(fold[name] for fold in folds) / len(folds)


def _p_against(daf: Mapping[str, Any] | None, metrics: Mapping[str, Any]) -> float:
    """Wilcoxon's p for the DSC of the same pictures; nan against itself."""
    if daf is None or daf is metrics:
        return float("nan")
    theirs = {row["id"]: row for row in daf["rows"]}
    ours = [row for row in metrics["rows"] if row["id"] in theirs]
    pairs = column([theirs[row["id"]] for row in ours], "dsc"), column(ours, "dsc")
    return wilcoxon_signed_rank(*pairs).p_value


def table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The study at a glance: means over folds, and normal pictures in which something was found."""
    columns = ("trained on", "network", *TITLES, "AUC", "missed", "false alarms", "DSC against DAF")
    return Table(
        columns,
        [
            (
                row["cohort"],
                row["network"],
                *(row[name] for name in MEASURES[:-1]),
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
    data = harness.data_folder()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data / "busi")
    parser.add_argument("--out", type=Path, default=Path("out/study-busi"))
    parser.add_argument("--scale", choices=["full", "two-cores"], default="full")
    parser.add_argument("--network", choices=NETWORKS, action="append", help="default: all")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    return parser.parse_args()


if __name__ == "__main__":
    main()
