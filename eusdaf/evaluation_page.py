"""The page of `eusdaf evaluate`: Table 2 beside ours, the paper's figures, and every picture."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.images import read_case
from core.io.image.mask import read_mask
from core.metrics import pixel_roc
from core.metrics.pixel_roc import ScoreHistogram
from core.report import html
from core.report.comparisons import Boxes, Roc, box_plots, rocs
from core.report.learning import fold_curves
from core.report.table import Badge, Link, Table, p_value, percent
from eusdaf.matching import Matched
from eusdaf.report import MAX_PICTURES, NETWORKS, overlay, picture_section
from eusdaf.statistics import FACTORS, VALUES, groups

PAPER = {
    "U-Net": (0.74, 0.62, 13.84, 44.26, 10.47, 0.80, 0.98, 0.83),
    "Attention U-Net": (0.72, 0.60, 14.69, 43.47, 11.28, 0.78, 0.98, 0.81),
    "DAF-Net": (0.83, 0.72, 9.04, 27.35, 7.53, 0.84, 0.98, 0.85),
}
"""Table 2 of the paper."""
PAPER_SUCCESS = {"U-Net": 0.752, "Attention U-Net": 0.709, "DAF-Net": 0.909}
"""Share of pictures with IoU > 0.5 (Sec. 4)."""
NAMES = ("dsc", "iou", "avd", "hd", "mad", "sensitivity", "specificity", "precision")
COLUMNS = ("", "DSC", "IoU", "AVD", "HD", "MAD", "SEN", "SP", "PC", "IoU > 0.5")
TITLES = {"dsc": "DSC", "iou": "IoU"}


def evaluation_page(
    metrics: Mapping[str, Any],
    pooled: ScoreHistogram | None,
    segmented: Mapping[Path, Mapping[str, Any]],
    matched: Sequence[Matched],
) -> str:
    """The whole page.

    Args:
      metrics: content of metrics.json.
      pooled: all pixels by probability; None where probability maps are missing.
      segmented: results.json by output folder.
      matched: the pictures behind the rows, in their order.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    first = next(iter(segmented.values()))
    sections = [
        html.tiles("Segmentation", _tiles(summary)),
        html.table("Beside Table 2 of the paper", table_2(metrics), note=_note(summary)),
        html.group("Figures", _charts(metrics, pooled, segmented)),
        _statistics(metrics["statistics"]),
    ]
    # The worst first: failures are what a reader looks for.
    order = np.argsort([row.get("dsc", 0.0) for row in rows], kind="stable")
    done = [int(i) for i in order if rows[i]["status"] == "done"]
    shown = done[:MAX_PICTURES]
    sections.append(html.table("Pictures", _rows_table([rows[i] for i in order], rows, shown)))
    sections += [_picture(matched[i], rows[i]) for i in shown]
    sections.append(html.provenance(first["manifest"]))
    title = f"{len(rows)} annotated pictures, {summary['num_lesions']} with a lesion."
    network = NETWORKS[first["network"]]
    return html.page("EUS evaluation", sections, subtitle=f"{network}. {title}")


def table_2(metrics: Mapping[str, Any]) -> Table:
    """The paper's rows, and ours: every fold, and their mean as in the paper."""
    rows: list[tuple] = [
        (f"paper, {name}", *values, percent(PAPER_SUCCESS[name])) for name, values in PAPER.items()
    ]
    folds = metrics["folds"]
    for fold in folds if len(folds) > 1 else ():
        rows.append((f"ours, fold {fold['fold']}", *_cells(fold)))
    if folds:
        names = (*NAMES, "success")
        mean = {name: float(np.nanmean([fold[name] for fold in folds])) for name in names}
        rows.append(("ours, mean of folds" if len(folds) > 1 else "ours", *_cells(mean)))
    return Table(COLUMNS, rows)


def _cells(values: Mapping[str, float]) -> tuple:
    return (*(values[name] for name in NAMES), percent(values["success"]))


def _note(summary: Mapping[str, Any]) -> str:
    return (
        "The paper's figures are of its own 330 pictures; other data cannot be compared number by "
        "number. AVD, HD and MAD in pixels at 256 × 256. "
        f"{summary['num_missed']} of {summary['num_lesions']} lesions were missed altogether (DSC "
        "0, distances the diagonal of the picture, no precision); something was segmented in "
        f"{summary['num_false_alarms']} of {summary['num_normal']} pictures without a lesion, "
        f"which have a specificity only. {summary['num_failed']} pictures failed."
    )


def _tiles(summary: Mapping[str, Any]) -> list[html.Tile]:
    titles = {"dsc": "DSC", "iou": "IoU", "sensitivity": "sensitivity", "precision": "precision"}
    tiles = []
    for name, title in titles.items():
        if name in summary:
            low, high = summary[f"{name}_ci"]
            note = "no interval" if np.isnan(low) else f"95 % CI {low:.3f}–{high:.3f}"
            tiles.append(html.Tile(title, f"{summary[name]:.3f}", note))
    if not np.isnan(summary["auc"]):
        tiles.append(html.Tile("pixel AUC", f"{summary['auc']:.3f}"))
    return tiles


def _charts(
    metrics: Mapping[str, Any],
    pooled: ScoreHistogram | None,
    segmented: Mapping[Path, Mapping[str, Any]],
) -> list[html.Section]:
    """ROC of all pixels, box plots and learning curves, as far as the data allow."""
    charts, rows = [], metrics["rows"]
    name = NETWORKS[next(iter(segmented.values()))["network"]]
    if pooled is not None and all(counts.any() for counts in pooled):
        curve = Roc(pixel_roc.points(pooled), pixel_roc.area(pooled))
        alt = f"ROC curve of all pixels with an area of {curve.area:.3f}"
        charts.append(html.figure("ROC of all pixels", rocs({name: curve}), alt=alt))
    tests = {(line["value"], line["groups"]): line["p"] for line in metrics["statistics"]}
    for factor in FACTORS:
        by_value = {value: groups(rows, factor, value) for value in VALUES}
        if any(len(by_group) < 2 for by_group in by_value.values()):
            continue
        boxes = [
            Boxes(TITLES[value], by_group, f"Kruskal–Wallis {p_value(tests[value, factor])}")
            for value, by_group in by_value.items()
        ]
        alt = f"Box plots of DSC and IoU by {factor}"
        charts.append(html.figure(f"By {factor}", box_plots(boxes), alt=alt))
    if curves := _curves(segmented):
        png = fold_curves(curves, ("loss", "dice_loss"))
        charts.append(html.figure("Learning curves", png, alt="Loss over the steps of each fold"))
    return charts


def _curves(segmented: Mapping[Path, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Logged lines of the runs behind the results, as far as they are still there."""
    curves = {}
    for results in segmented.values():
        for run in results["runs"]:
            path = Path(run) / "metrics.jsonl"
            if path.is_file():
                fold = results["fold"]
                name = Path(run).name if fold is None else f"fold {fold}"
                lines = path.read_text("utf-8").splitlines()
                curves[name] = [json.loads(line) for line in lines]
    return curves


def _statistics(lines: Sequence[Mapping[str, Any]]) -> html.Section:
    """Tests of all lesions and of each factor, and folded behind them those of pairs of groups."""
    of_pairs = [line for line in lines if "p_holm" in line]
    whole = html.table("", _tests_table([line for line in lines if line not in of_pairs]))
    pairs = html.table("", _tests_table(of_pairs))
    return html.group("Statistics", [whole, html.details("Pairs of groups", [pairs])])


def _tests_table(lines: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("test", "of", "groups", "statistic", "p", "p after Holm", "pictures", "note")
    return Table(
        columns,
        [
            (
                line["test"],
                TITLES[line["value"]],
                line["groups"],
                line["statistic"],
                p_value(line["p"]),
                p_value(line.get("p_holm", float("nan"))),
                line["num"],
                line["reason"],
            )
            for line in lines
        ],
    )


def _rows_table(
    ordered: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], shown: Sequence[int]
) -> Table:
    linked = {rows[i]["id"] for i in shown}
    cells = [
        (
            Link(row["id"], row["id"]) if row["id"] in linked else row["id"],
            _mark(row),
            *(row.get(name) for name in NAMES),
        )
        for row in ordered
    ]
    return Table(("picture", "", *COLUMNS[1:-1]), cells)


def _mark(row: Mapping[str, Any]) -> Badge:
    if row["status"] != "done":
        return Badge("failed", "warn")
    if not row["has_lesion"]:
        return Badge("false alarm", "bad") if row["predicted"] else Badge("no lesion", "good")
    return Badge("IoU > 0.5", "good") if row["success"] else Badge("IoU ≤ 0.5", "bad")


def _picture(one: Matched, row: Mapping[str, Any]) -> html.Section:
    frame, true = read_case(one.case)
    pred = read_mask([one.folder / "mask.png"], shape=frame.shape).array
    caption = "No lesion is annotated."
    if row["has_lesion"]:
        caption = f"DSC {row['dsc']:.3f}, IoU {row['iou']:.3f}, HD {row['hd']:.1f} pixels."
    return picture_section(row["id"], overlay(frame, pred, true.array), _mark(row), caption)
