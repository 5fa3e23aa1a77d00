"""U-Net32 on real CT slices: `python -m benchmarks.study_nih_slices`.

193 slices of 42 patients of NIH Pancreas-CT, in five folds by patient: each patient is tested once,
by a network that learned from three fifths of them. Weights are chosen by the loss of another
fifth. The paper's 50 epochs are few steps with so few slices, so its schedule is stretched. An
interrupted study goes on where it stopped; folds may be jobs of their own, with `--fold`.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import harness, results
from benchmarks.provenance import provenance
from core import atomic, sharding
from core.commands import train as training
from core.commands.train import Division, Training
from core.config import fingerprint
from core.data.parts import Parts, nested_k_fold
from core.metrics.intervals import bootstrap_interval
from core.metrics.rows import Row, column
from core.report.outline import Outline, draw_outline, legend
from core.report.style import panels, to_png
from core.report.table import Table, to_text
from core.train.checkpoint import restore_model
from core.train.run_folder import weights_folder
from fee.config import Config
from fee.data import Example, PreparedSeries, batch_of, examples
from fee.metrics import evaluator
from fee.networks import network
from fee.prepare import find_cache, open_series, prepare
from fee.recipes import RECIPES
from fee.train import build, length

MEASURES = {"dsc": "DSC", "miou": "MIoU"}
PAPER = {"dsc": 0.837, "miou": 0.880}
"""On slices of its own patients, split by image (Table 3)."""
NUM_FOLDS = 5
"""The test part of 6:2:2 is a fifth."""
NUM_SHOWN = 4
SMALL_SIZE = 128
"""Rows and columns of a slice on two cores."""

Predict = Callable[..., np.ndarray]


class Tested(NamedTuple):
    """What a fold's network says of the patients that it has not seen."""

    rows: Sequence[Row]
    slices: list[Example]
    predict: Predict


def main() -> None:
    """Train and test every fold; write the rows, the learning curves and the pictures."""
    args = _arguments()
    harness.talk("core", "fee")
    cfg = recipe(args.scale, args.stretch)
    out = args.out / f"{args.scale}-{args.stretch}"
    cache = args.out / "prepared"
    prepare([args.data], cache, screen=cfg.screen, prepare=cfg.prepare)
    folder = find_cache([cache], out, screen=cfg.screen, cfg=cfg.prepare)
    series = open_series(folder)
    runs = [out / f"fold-{fold}" for fold in range(NUM_FOLDS)]
    parts_of_runs = list(zip(runs, folds(series, cfg), strict=True))
    for fold, (run, parts) in enumerate(parts_of_runs):
        if args.fold in (None, fold):
            train_fold(cfg, folder, series, fold, parts, run)
    if args.fold is not None:
        return
    tested = [_test(cfg, _slices(series, cfg, parts.test), run) for run, parts in parts_of_runs]
    name = f"nih-slices {args.scale} {cfg.prepare.size}², {cfg.run.epochs} epochs"
    results.save("study-nih-slices", [_row(name, cfg, tested, runs)])
    print(to_text(table([fold.rows for fold in tested])), end="")
    pictures = results.RESULTS / "study-nih-slices.png", results.RESULTS / "study-nih-curves.png"
    atomic.write_bytes(pictures[0], _pictures(tested, cfg))
    atomic.write_bytes(pictures[1], _curves([run / "metrics.jsonl" for run in runs]))
    print(", ".join(map(str, pictures)))


def recipe(scale: str, stretch: int) -> Config:
    """The paper's, `stretch` times as long; on two cores over smaller slices.

    Rates drop, and patience ends, after as large a share of the epochs as in the paper.
    """
    cfg = RECIPES["segment"]
    if scale == "two-cores":
        cfg = replace(cfg, prepare=replace(cfg.prepare, size=SMALL_SIZE))
    run = replace(cfg.run, epochs=stretch * cfg.run.epochs, log_every=20, checkpoint_every=200)
    return replace(
        cfg,
        run=run,
        optim=replace(cfg.optim, drop_epochs=stretch * cfg.optim.drop_epochs),
        stop=replace(cfg.stop, patience=stretch * cfg.stop.patience),
    )


def folds(series: Sequence[PreparedSeries], cfg: Config) -> tuple[Parts, ...]:
    """Patients to learn from, to choose the weights by and to test, of every fold."""
    learned, chosen_by, _ = cfg.split.parts
    patients = dict.fromkeys((stack.patient for stack in series), "healthy")
    return nested_k_fold(patients, NUM_FOLDS, chosen_by / (learned + chosen_by), cfg.split.seed)


def train_fold(
    cfg: Config,
    cache: Path,
    series: Sequence[PreparedSeries],
    fold: int,
    parts: Parts,
    run: Path,
) -> None:
    """Train one fold, or go on with it; FEE-DL itself has one split and no folds."""

    def divide() -> tuple[Division, Callable[[], Training]]:
        learned, chosen_by = (_slices(series, cfg, part) for part in (parts.train, parts.val))
        division = training.division(cache, parts, series, lambda stack: [stack.patient], fold)
        return division, lambda: Training(
            build(cfg, learned, chosen_by),
            length(cfg, len(learned)),
            cfg.data.batch,
            cfg.stop.patience,
        )

    training.train(cfg, run, divide=divide, curves=("loss", "accuracy"), resume=True)


def table(rows_of_folds: Sequence[Sequence[Row]]) -> Table:
    """Mean over all patients with its interval, and of every fold, beside the paper's."""
    rows = [row for of_fold in rows_of_folds for row in of_fold]
    lines = []
    for name, title in MEASURES.items():
        low, high = bootstrap_interval(column(rows, name), seed=0)
        mean = column(rows, name).mean()
        ours = f"{100 * mean:.1f} % (95 % CI {100 * low:.1f}–{100 * high:.1f})"
        of_each = ", ".join(f"{100 * column(f, name).mean():.1f}" for f in rows_of_folds)
        lines.append((title, ours, of_each, f"{100 * PAPER[name]:.1f} %"))
    columns = (f"{len(rows)} patients", "ours", "by fold", "paper, its own data")
    return Table(columns, lines)


def _slices(
    series: Sequence[PreparedSeries], cfg: Config, patients: Iterable[str]
) -> list[Example]:
    wanted = set(patients)
    return [example for example in examples(series, cfg) if example.series.patient in wanted]


def _test(cfg: Config, held_out: list[Example], run: Path) -> Tested:
    weights = restore_model(weights_folder(run))
    rows = list(evaluator(cfg, held_out)(*weights))
    return Tested(rows, held_out, network(cfg, *weights, sharding.mesh()))


def _row(name: str, cfg: Config, tested: Sequence[Tested], runs: Sequence[Path]) -> dict[str, Any]:
    rows = [{**row, "fold": i} for i, fold in enumerate(tested) for row in fold.rows]
    values_of = {measure: column(rows, measure) for measure in MEASURES}
    manifests = [json.loads((run / "manifest.json").read_text("utf-8")) for run in runs]
    return {
        "name": name,
        "recipe": {"fingerprint": fingerprint(cfg), "epochs": cfg.run.epochs},
        "num_patients": len(rows),
        **{measure: float(values.mean()) for measure, values in values_of.items()},
        **{f"{m}_ci": list(bootstrap_interval(values, seed=0)) for m, values in values_of.items()},
        **{f"{m}_by_fold": [float(column(f.rows, m).mean()) for f in tested] for m in MEASURES},
        "rows": rows,
        "steps": [{key: of[key] for key in ("best_step", "stopped_at")} for of in manifests],
        **provenance(),
    }


def _pictures(tested: Sequence[Tested], cfg: Config) -> bytes:
    """The middle slice of patients from the worst to the best."""
    by_dsc = sorted((row["dsc"], row["id"], fold) for fold in tested for row in fold.rows)
    figure, every = panels(NUM_SHOWN)
    figure.set_facecolor("black")
    outlines: list[Outline] = []
    for axes, i in zip(every, np.linspace(0, len(by_dsc) - 1, NUM_SHOWN), strict=True):
        dsc, patient, fold = by_dsc[round(i)]
        of_patient = [e for e in fold.slices if e.series.patient == patient]
        batch = batch_of([of_patient[len(of_patient) // 2]], cfg)
        image, true = batch["image"][0], batch["mask"][0] == 1
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, len(image), len(image), 0))
        outlines = [
            Outline("radiologist", true, "#22c55e", tinted=False),
            Outline(
                "network", fold.predict(batch["image"], None)[0] >= 0.5, "#ef4444", tinted=True
            ),
        ]
        for outline in outlines:
            draw_outline(axes, outline, outline.mask, (1.0, 1.0))
        axes.set_title(f"patient {patient}, DSC {100 * dsc:.0f} %", color="white", fontsize=10)
        axes.set_axis_off()
    legend(figure, outlines)
    return to_png(figure)


def _curves(metrics: Sequence[Path]) -> bytes:
    """Cross-entropy in training, and loss and DSC of validation, over the steps of every fold."""
    figure, (learned, losses, dsc) = panels(3)
    for fold, path in enumerate(metrics):
        lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        steps = [line for line in lines if "loss" in line]
        looks = [line for line in lines if "evaluation" in line]
        at = [look["step"] for look in looks]
        learned.plot([s["step"] for s in steps], [s["entropy"] for s in steps], label=str(fold))
        losses.plot(at, [look["evaluation"]["loss"] for look in looks])
        dsc.plot(at, [look["evaluation"]["dsc"] for look in looks])
    learned.set(title="Cross-entropy, augmented slices", xlabel="Step", yscale="log")
    losses.set(title="Cross-entropy, validation", xlabel="Step", yscale="log")
    dsc.set(title="DSC, validation", xlabel="Step", ylim=(0, 1))
    learned.legend(title="fold", frameon=False)
    return to_png(figure)


def _arguments() -> argparse.Namespace:
    data = results.data_folder()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data / "nih_pancreas_slices")
    parser.add_argument("--out", type=Path, default=Path("out/study-nih"))
    parser.add_argument("--scale", choices=["full", "two-cores"], default="full")
    parser.add_argument("--stretch", type=int, default=3, help="times the paper's 50 epochs")
    parser.add_argument("--fold", type=int, choices=range(NUM_FOLDS), help="train this one alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
