"""The page of `eusdaf evaluate`: Table 2 beside ours, the paper's figures, and every picture."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.commands.evaluate import Matched, failures_note, headline
from core.datasets.images import read_case
from core.io.image.mask import read_mask
from core.metrics import pixel_roc
from core.metrics.pixel_roc import ScoreHistogram
from core.metrics.rows import summarize
from core.report import html
from core.report.comparisons import Boxes, Roc, box_plots, rocs
from core.report.learning import fold_curves
from core.report.table import Badge, Link, Table, p_value, percent, without_empty
from eusdaf.report import NETWORKS, overlay, picture_section
from eusdaf.statistics import FACTORS, VALUES, groups_of

MEASURES = ("dsc", "iou", "avd", "hd", "mad", "sensitivity", "specificity", "precision")
"""Columns of Table 2, in its order."""
COLUMNS = ("", "DSC", "IoU", "AVD", "HD", "MAD", "SEN", "SP", "PC", "IoU > 0.5")
PAPER = {
    "U-Net": (0.74, 0.62, 13.84, 44.26, 10.47, 0.80, 0.98, 0.83),
    "Attention U-Net": (0.72, 0.60, 14.69, 43.47, 11.28, 0.78, 0.98, 0.81),
    "DAF-Net": (0.83, 0.72, 9.04, 27.35, 7.53, 0.84, 0.98, 0.85),
}
"""Table 2 of the paper."""
PAPER_SUCCESS = {"U-Net": 0.752, "Attention U-Net": 0.709, "DAF-Net": 0.909}
"""Share of pictures with IoU > 0.5 (Sec. 4)."""
TITLES = {"dsc": "DSC", "iou": "IoU"}


def evaluation_page(
    metrics: Mapping[str, Any], pixels: Mapping[str, ScoreHistogram], matched: Sequence[Matched]
) -> str:
    """The whole page.

    Args:
      metrics: content of metrics.json.
      pixels: of each network that has probability maps, all by probability and truth.
      matched: the pictures behind the rows, in their order.
    """
    rows, names = metrics["rows"], [NETWORKS[name] for name in metrics["groups"]]
    sections = [
        html.tiles(f"Segmentation, {names[0]}", _tiles(metrics["summary"])),
        html.table("Beside Table 2 of the paper", table_2(metrics), note=_note(metrics)),
        html.group("Figures", _charts(metrics, pixels, matched)),
        _statistics(metrics["statistics"], names[0]),
    ]
    # The worst first: failures are what a reader looks for.
    order = [int(i) for i in np.argsort([row.get("dsc", 0.0) for row in rows], kind="stable")]
    shown = [i for i in order if rows[i]["status"] == "done"][: html.MAX_PICTURES]
    titles = [_title(row, len(names) > 1) for row in rows]
    sections.append(html.table("Pictures", _rows_table(rows, order, titles, set(shown))))
    sections += [_picture(matched[i], rows[i], titles[i]) for i in shown]
    sections.append(html.provenance(matched[0].prediction.results["manifest"]))
    text = f"{len(rows)} segmentations, {sum(bool(r.get('has_lesion')) for r in rows)} of a lesion."
    return html.page("EUS evaluation", sections, subtitle=f"{', '.join(names)}. {text}")


def table_2(metrics: Mapping[str, Any]) -> Table:
    """The paper's rows, and ours: of each network every fold, and their mean as in the paper."""
    rows: list[tuple] = [
        (f"paper, {name}", *values, percent(PAPER_SUCCESS[name])) for name, values in PAPER.items()
    ]
    for network, summary in metrics["groups"].items():
        title, folds = f"ours, {NETWORKS[network]}", summary["folds"]
        if len(folds) > 1:
            rows += [(f"{title}, fold {fold['fold']}", *_cells(fold)) for fold in folds]
            title += ", mean of folds"
        if folds:
            rows.append((title, *_cells(mean_of_folds(folds))))
    return Table(COLUMNS, rows)


def mean_of_folds(folds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean of the folds' means, as in the paper (Sec. 2.5)."""
    names = (*MEASURES, "success")
    means = summarize(folds, names)
    return {name: means[name] for name in names}


def _cells(values: Mapping[str, float]) -> tuple:
    return (*(values[name] for name in MEASURES), percent(values["success"]))


def _note(metrics: Mapping[str, Any]) -> str:
    notes = [
        "The paper's figures are of its own 330 pictures; other data cannot be compared number by "
        "number. AVD, HD and MAD in pixels at 256 × 256. A missed lesion has DSC 0, the diagonal of"
        " the picture for distances, and no precision; a picture without one a specificity only."
    ]
    for network, summary in metrics["groups"].items():
        notes.append(
            f"{NETWORKS[network]}: {summary['num_missed']} of {summary['num_lesions']} lesions were"
            f" missed; something was segmented in {summary['num_false_alarms']} of "
            f"{summary['num_normal']} pictures without a lesion; the ROC is over the pixels of "
            f"{summary['auc_num_pictures']} pictures; {failures_note(summary)}"
        )
    return " ".join(notes)


def _tiles(summary: Mapping[str, Any]) -> list[html.Tile]:
    titles = {"dsc": "DSC", "iou": "IoU", "sensitivity": "sensitivity", "precision": "precision"}
    tiles = []
    for name, title in titles.items():
        low, high = summary[f"{name}_ci"]
        note = "no interval" if np.isnan(low) else f"95 % CI {low:.3f}–{high:.3f}"
        tiles.append(html.Tile(title, f"{summary[name]:.3f}", note))
    tiles.append(html.Tile("pixel AUC", f"{summary['auc']:.3f}"))
    return [tile for tile in tiles if tile.value != "nan"]


def _charts(
    metrics: Mapping[str, Any], pixels: Mapping[str, ScoreHistogram], matched: Sequence[Matched]
) -> list[html.Section]:
    """ROC of all pixels, box plots of the first network and learning curves, as data allow."""
    charts = []
    curves = {
        NETWORKS[name]: Roc(pixel_roc.points(histogram), metrics["groups"][name]["auc"])
        for name, histogram in pixels.items()
        if all(counts.any() for counts in histogram)
    }
    if curves:
        areas = ", ".join(f"{curve.area:.3f} of {name}" for name, curve in curves.items())
        alt = f"ROC curves of all pixels with areas of {areas}"
        charts.append(html.figure("ROC of all pixels", rocs(curves), alt=alt))
    first = next(iter(metrics["groups"]))
    counted = [row for row in headline(metrics["rows"]) if row["group"] == first]
    tests = {(test["value"], test["groups"]): test["p"] for test in metrics["statistics"]}
    for factor in FACTORS:
        by_value = {value: groups_of(counted, factor, value) for value in VALUES}
        if any(len(groups) < 2 for groups in by_value.values()):
            continue
        boxes = [
            Boxes(TITLES[value], groups, f"Kruskal–Wallis {p_value(tests[value, factor])}")
            for value, groups in by_value.items()
        ]
        alt = f"Box plots of DSC and IoU by {factor}"
        charts.append(html.figure(f"By {factor}", box_plots(boxes), alt=alt))
    if records := _records(matched):
        png = fold_curves(records, ("loss", "dice_loss"))
        charts.append(html.figure("Learning curves", png, alt="Loss over the steps of each run"))
    return charts


def _records(matched: Sequence[Matched]) -> dict[str, list[dict[str, Any]]]:
    """Logged lines of the runs behind the predictions, as far as they are still there."""
    paths: dict[str, Path] = {}
    for prediction, _ in matched:
        for run in prediction.results["runs"]:
            path, fold = Path(run["path"]), run["fold"]
            name = path.name if fold is None else f"fold {fold}"
            paths[f"{NETWORKS[prediction.group]}, {name}"] = path / "metrics.jsonl"
    return {
        name: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for name, path in paths.items()
        if path.is_file()
    }


def _statistics(tests: Sequence[Mapping[str, Any]], network: str) -> html.Section:
    """Tests of all lesions and of each factor, and folded behind them those of pairs of groups."""
    of_pairs = [test for test in tests if "p_holm" in test]
    whole = html.table("", _tests_table([test for test in tests if test not in of_pairs]))
    pairs = html.table("", _tests_table(of_pairs))
    return html.group(f"Statistics, {network}", [whole, html.details("Pairs of groups", [pairs])])


def _tests_table(tests: Sequence[Mapping[str, Any]]) -> Table:
    columns = ("test", "of", "groups", "statistic", "p", "p after Holm", "pictures", "note")
    lines = []
    for test in tests:
        p_values = (p_value(test["p"]), p_value(test.get("p_holm", float("nan"))))
        what = (test["test"], TITLES[test["value"]], test["groups"], test["statistic"])
        lines.append((*what, *p_values, test["num"], test["reason"]))
    return Table(columns, lines)


def _title(row: Mapping[str, Any], has_several_networks: bool) -> str:
    """Id of a picture, with what else tells rows apart."""
    words = [row["id"], NETWORKS[row["group"]] if has_several_networks else None]
    words.append(None if row["fold"] is None else f"fold {row['fold']}")
    return " ".join(word for word in words if word)


def _rows_table(
    rows: Sequence[Mapping[str, Any]],
    order: Sequence[int],
    titles: Sequence[str],
    shown: Collection[int],
) -> Table:
    lines = [
        (
            Link(titles[i], titles[i]) if i in shown else titles[i],
            _mark(rows[i]),
            *(rows[i].get(name) for name in MEASURES),
            rows[i]["part"],
        )
        for i in order
    ]
    return without_empty(("picture", "result", *COLUMNS[1:-1], "learned from"), lines)


def _mark(row: Mapping[str, Any]) -> Badge:
    if row["status"] != "done":
        return Badge(row["status"], "warn")
    if not row["has_lesion"]:
        return Badge("false alarm", "bad") if row["predicted"] else Badge("no lesion", "good")
    return Badge("IoU > 0.5", "good") if row["success"] else Badge("IoU ≤ 0.5", "bad")


def _picture(matched: Matched, row: Mapping[str, Any], title: str) -> html.Section:
    frame, true = read_case(matched.truth.case)
    pred = read_mask([matched.prediction.folder / "mask.png"], shape=frame.shape).array
    caption = "No lesion is annotated."
    if row["has_lesion"]:
        caption = f"DSC {row['dsc']:.3f}, IoU {row['iou']:.3f}, HD {row['hd']:.1f} pixels."
    return picture_section(title, overlay(frame, pred, true.array), _mark(row), caption)
