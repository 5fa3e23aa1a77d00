"""The page of `eusdaf evaluate`: Table 2 beside ours, the paper's figures, and every picture."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.commands.evaluate import Matched, failures_note, headline_of_first
from core.datasets.images import read_case
from core.io.image.mask import read_written_mask
from core.metrics import pixel_roc
from core.metrics.pixel_roc import ScoreHistogram
from core.metrics.rows import Row, summarize
from core.report import html
from core.report.cases import case_table, listed
from core.report.comparisons import Boxes, Roc, box_plots, rocs
from core.report.evaluation import OWN_DATA, metric_tiles
from core.report.learning import fold_curves
from core.report.table import Badge, Table, p_value, percent, table_of
from eusdaf.report import NETWORKS, overlay, picture_section
from eusdaf.statistics import FACTORS, VALUES, groups_of

MEASURES = ("dsc", "iou", "avd", "hd", "mad", "sensitivity", "specificity", "precision")
"""Columns of Table 2, in its order."""
COLUMNS = ("", "DSC", "IoU", "AVD", "HD", "MAD", "SEN", "SP", "PC", "IoU > 0.5")
PAPER = {
    "U-Net": (0.74, 0.62, 13.84, 44.26, 10.47, 0.80, 0.98, 0.83, 0.752),
    "Attention U-Net": (0.72, 0.60, 14.69, 43.47, 11.28, 0.78, 0.98, 0.81, 0.709),
    "DAF-Net": (0.83, 0.72, 9.04, 27.35, 7.53, 0.84, 0.98, 0.85, 0.909),
}
"""Table 2 of the paper, and the share of pictures with IoU > 0.5 (Sec. 4)."""
TITLES = {"dsc": "DSC", "iou": "IoU"}
TILES = {**TITLES, "sensitivity": "sensitivity", "precision": "precision", "auc": "pixel AUC"}
PICTURE_COLUMNS = {
    "result": lambda row: _mark(row),
    **dict(zip(COLUMNS[1:-1], MEASURES, strict=True)),
    "learned from": "part",
}
TEST_COLUMNS = {
    "test": "test",
    "of": lambda test: TITLES[test["value"]],
    "groups": "groups",
    "statistic": "statistic",
    "p": lambda test: p_value(test["p"]),
    "p after Holm": lambda test: p_value(test.get("p_holm", float("nan"))),
    "pictures": "num",
    "note": "reason",
}


def evaluation_page(
    metrics: Mapping[str, Any], pixels: Mapping[str, ScoreHistogram], matched: Sequence[Matched]
) -> str:
    """The whole page.

    Args:
      metrics: content of metrics.json.
      pixels: of each network that has probability maps, all by probability and truth.
      matched: the pictures behind the rows, in their order.
    """
    rows = [{**row, "group": NETWORKS[row["group"]]} for row in metrics["rows"]]
    cases = listed(rows, [row.get("dsc", 0.0) for row in rows])
    names = [NETWORKS[name] for name in metrics["groups"]]
    num_lesions = sum(row.get("has_lesion", False) for row in rows)
    return html.page(
        "EUS evaluation",
        [
            html.tiles(f"Segmentation, {names[0]}", metric_tiles(metrics["summary"], TILES)),
            html.table("Beside Table 2 of the paper", table_2(metrics), note=_note(metrics)),
            html.group("Figures", _charts(metrics, pixels, matched)),
            _statistics(metrics["statistics"], names[0]),
            html.table("Pictures", case_table("picture", PICTURE_COLUMNS, cases)),
            *(_picture(case, matched[case["index"]]) for case in cases if case["has_section"]),
            html.provenance(matched[0].prediction.results["manifest"]),
        ],
        subtitle=f"{', '.join(names)}. {len(rows)} segmentations, {num_lesions} of a lesion.",
    )


def table_2(metrics: Mapping[str, Any]) -> Table:
    """The paper's rows, and ours: of each network every fold, and their mean as in the paper."""
    rows: list[tuple] = [
        (f"paper, {name}", *values, percent(success)) for name, (*values, success) in PAPER.items()
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
        f"{OWN_DATA.format('330 pictures')} AVD, HD and MAD in pixels at 256 × 256. A missed "
        "lesion has DSC 0, the diagonal of the picture for distances, and no precision; a picture "
        "without one a specificity only."
    ]
    for network, summary in metrics["groups"].items():
        notes.append(
            f"{NETWORKS[network]}: {summary['num_missed']} of {summary['num_lesions']} lesions were"
            f" missed; something was segmented in {summary['num_false_alarms']} of "
            f"{summary['num_normal']} pictures without a lesion; the ROC is over the pixels of "
            f"{summary['auc_num_pictures']} pictures; {failures_note(summary)}"
        )
    return " ".join(notes)


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
    counted = headline_of_first(metrics)
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
    of_factors = [test for test in tests if test not in of_pairs]
    factors, pairs = (
        html.table("", table_of(TEST_COLUMNS, some)) for some in (of_factors, of_pairs)
    )
    return html.group(f"Statistics, {network}", [factors, html.details("Pairs of groups", [pairs])])


def _mark(row: Row) -> Badge:
    if row["status"] != "done":
        return Badge(row["status"], "warn")
    if not row["has_lesion"]:
        return Badge("false alarm", "bad") if row["predicted"] else Badge("no lesion", "good")
    return Badge("IoU > 0.5", "good") if row["success"] else Badge("IoU ≤ 0.5", "bad")


def _picture(row: Row, matched: Matched) -> html.Section:
    frame, true = read_case(matched.truth.case)
    pred = read_written_mask(matched.prediction.folder / "mask.png", shape=frame.shape)
    caption = "No lesion is annotated."
    if row["has_lesion"]:
        caption = f"DSC {row['dsc']:.3f}, IoU {row['iou']:.3f}, HD {row['hd']:.1f} pixels."
    return picture_section(row["title"], overlay(frame, pred, true), _mark(row), caption)
