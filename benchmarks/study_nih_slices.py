"""U-Net32 on real CT slices: `python -m benchmarks.study_nih_slices`.

193 slices of 42 patients of NIH Pancreas-CT, split by patient 6:2:2. Weights are chosen by the loss
of the validation patients; the test patients are looked at once, at the end. The paper's 50 epochs
are few steps with so few slices, so its schedule is stretched. An interrupted training goes on
where it stopped.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from core import atomic, sharding
from core.config import fingerprint
from core.metrics.intervals import bootstrap_interval
from core.metrics.rows import column
from core.report.outline import Outline, draw_outline, legend
from core.report.style import panels, to_png
from core.report.table import Table, to_text
from core.train.checkpoint import restore_model
from core.train.run_folder import weights_folder
from fee.config import RECIPES, Config
from fee.data import Example, PreparedSeries, batch_of, examples
from fee.metrics import evaluator
from fee.networks import network
from fee.prepare import find_cache, open_series, prepare
from fee.train import divide, train

MEASURES = {"dsc": "DSC", "miou": "MIoU"}
PAPER = {"dsc": 0.837, "miou": 0.880}
"""On slices of its own patients, split by image (Table 3)."""
NUM_SHOWN = 4
SMALL_SIZE = 128
"""Rows and columns of a slice on two cores."""


def main() -> None:
    """Train, test, and write the row, the learning curve and the pictures."""
    args = _arguments()
    harness.talk("core", "fee")
    cfg = recipe(args.scale, args.stretch)
    out = args.out / f"{args.scale}-{args.stretch}"
    cache = args.out / "prepared"
    prepare([args.data], cache, screen=cfg.screen, prepare=cfg.prepare)
    train(cfg, [cache], out, resume=True)
    series = open_series(find_cache([cache], out, screen=cfg.screen, cfg=cfg.prepare))
    held_out = _test_part(series, cfg)
    weights = restore_model(weights_folder(out))
    rows = list(evaluator(cfg, held_out)(*weights))
    name = f"nih-slices {args.scale} {cfg.prepare.size}², {cfg.run.epochs} epochs"
    harness.save("study-nih-slices", [_row(name, cfg, rows, out)])
    print(to_text(table(rows)), end="")
    predict = network(cfg, *weights, sharding.mesh())
    middle = _middle_slices(held_out, rows)
    pictures = harness.RESULTS / "study-nih-slices.png", harness.RESULTS / "study-nih-curves.png"
    atomic.write_bytes(pictures[0], _pictures(middle, batch_of(middle, cfg), predict))
    atomic.write_bytes(pictures[1], _curves(out / "metrics.jsonl"))
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


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Mean over the test patients with its interval, beside the paper's."""
    lines = []
    for name, title in MEASURES.items():
        values = column(rows, name)
        low, high = bootstrap_interval(values, seed=0)
        ours = f"{100 * values.mean():.1f} % (95 % CI {100 * low:.1f}–{100 * high:.1f})"
        lines.append((title, ours, f"{100 * PAPER[name]:.1f} %"))
    return Table((f"{len(rows)} test patients", "ours", "paper, its own data"), lines)


def _row(name: str, cfg: Config, rows: Sequence[dict[str, Any]], out: Path) -> dict[str, Any]:
    values_of = {measure: column(rows, measure) for measure in MEASURES}
    return {
        "name": name,
        "recipe": {"fingerprint": fingerprint(cfg), "epochs": cfg.run.epochs},
        "num_patients": len(rows),
        **{measure: float(values.mean()) for measure, values in values_of.items()},
        **{f"{m}_ci": list(bootstrap_interval(values, seed=0)) for m, values in values_of.items()},
        "rows": rows,
        "training": json.loads((out / "manifest.json").read_text("utf-8")),
        **harness.provenance(),
    }


def _test_part(series: Sequence[PreparedSeries], cfg: Config) -> list[Example]:
    patients = set(divide(series, cfg)[0].test)
    return [example for example in examples(series, cfg) if example.series.patient in patients]


def _middle_slices(held_out: Sequence[Example], rows: Sequence[dict[str, Any]]) -> list[Example]:
    """The middle slice of patients from the worst to the best."""
    order = [rows[i]["id"] for i in np.argsort(column(rows, "dsc"))]
    chosen = [order[round(i)] for i in np.linspace(0, len(order) - 1, NUM_SHOWN)]
    of = {p: [e for e in held_out if e.series.patient == p] for p in chosen}
    return [of[patient][len(of[patient]) // 2] for patient in chosen]


def _pictures(shown: Sequence[Example], batch: dict[str, np.ndarray], predict: Any) -> bytes:
    figure, every = panels(len(shown))
    figure.set_facecolor("black")
    masks = predict(batch["image"], None) >= 0.5
    outlines: list[Outline] = []
    for axes, example, image, true, pred in zip(
        every, shown, batch["image"], batch["mask"], masks, strict=True
    ):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(0, len(image), len(image), 0))
        outlines = [
            Outline("radiologist", true == 1, "#22c55e", tinted=False),
            Outline("network", pred, "#ef4444", tinted=True),
        ]
        for outline in outlines:
            draw_outline(axes, outline, outline.mask, (1.0, 1.0))
        axes.set_title(f"patient {example.series.patient}", color="white", fontsize=10)
        axes.set_axis_off()
    legend(figure, outlines)
    return to_png(figure)


def _curves(metrics: Path) -> bytes:
    """Loss of training and validation, and DSC of validation, over the steps."""
    lines = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    looks = [line for line in lines if "evaluation" in line]
    figure, (losses, dsc) = panels(2)
    losses.plot(
        [s["step"] for s in steps], [s["entropy"] for s in steps], label="training, augmented"
    )
    at = [look["step"] for look in looks]
    losses.plot(at, [look["evaluation"]["loss"] for look in looks], label="validation")
    losses.set(title="Cross-entropy", xlabel="Step", yscale="log")
    losses.legend(frameon=False)
    dsc.plot(at, [look["evaluation"]["dsc"] for look in looks])
    dsc.set(title="DSC of the validation patients", xlabel="Step", ylim=(0, 1))
    return to_png(figure)


def _arguments() -> argparse.Namespace:
    data = harness.data_folder()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=data / "nih_pancreas_slices")
    parser.add_argument("--out", type=Path, default=Path("out/study-nih"))
    parser.add_argument("--scale", choices=["full", "two-cores"], default="full")
    parser.add_argument("--stretch", type=int, default=3, help="times the paper's 50 epochs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
