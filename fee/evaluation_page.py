"""The page of `fee evaluate`: Tables 1 to 3 and Figure 6 beside ours, and every patient."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.commands.evaluate import Prediction, failures_note, headline
from core.metrics.classification import f1, roc_curve, sensitivity, specificity
from core.metrics.compare import Interval, f1_interval
from core.metrics.overlap import Counts
from core.report import figures, html
from core.report.agreement import confusion_matrix, shares_by_group
from core.report.table import (
    UNDEFINED,
    Badge,
    Link,
    Table,
    mean_sd,
    percent,
    proportion,
    without_empty,
)
from fee.report import badge, patient_section, used_files

PAPER_TYPES = {
    "normal": (35, 82, 57 / 82),
    "PDAC": (209, 170, 0.876),
    "IPMN": (6, 17, 1.0),
    "PNET": (1, 0, None),
    "SCN": (0, 16, None),
    "other": (68, 62, None),
}
"""Patients for training and testing (Table 1), and accuracy where the text tells it (Fig. 6C)."""
PAPER = Counts(true_positive=230, false_positive=25, false_negative=35, true_negative=57)
"""Figure 6A."""
PAPER_AUC, PAPER_SECONDS = 0.871, 18.6
PAPER_USED = (62_649, 107_036)
"""Images used, and all (Results, Performance of the FEE-DL model)."""
PAPER_TUMOR_IMAGES, PAPER_NORMAL_IMAGES = 90_194, 16_842
"""Of the testing dataset, before screening (Table 2)."""
PAPER_NETWORKS = {
    "locate": ("slices with pancreas", (0.998, 0.965, 0.971)),
    "miou": ("segmentation, MIoU", (0.969, 0.882, 0.880)),
    "dsc": ("segmentation, DSC", (0.968, 0.837, 0.837)),
    "diagnose": ("slices with tumor", (0.895, 0.817, 0.822)),
}
"""Accuracy and overlap in training, validation and testing (Table 3)."""
NETWORKS_NOTE = (
    "Ours in testing are of new patients; the paper's of a random part of all slices, of patients "
    "it trained on. Slices: share called rightly, for the tumor among those with segmented "
    "pancreas, by their patient's label. Segmentation: mean ± standard deviation over patients, of "
    "all voxels of all annotated series. Training and validation: of the diagnosed patients that "
    "the runs learned from, or chose their weights by."
)


def evaluation_page(metrics: Mapping[str, Any], predictions: Sequence[Prediction]) -> str:
    """The whole page.

    Args:
      metrics: summary, groups and rows of `fee.evaluate`.
      predictions: cases behind the rows, in their order.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    # What went wrong first: misses and false alarms are what a reader looks for.
    order = sorted(range(len(rows)), key=lambda i: rows[i].get("right", False))
    shown = [i for i in order if rows[i]["status"] == "done"][: html.MAX_PICTURES]
    titles = {i: _title(rows[i], metrics) for i in order}
    sections = [
        html.tiles("Diagnosis", _tiles(summary, [prediction.row for prediction in predictions])),
        html.table("Beside the paper", system_table(metrics), note=_note(summary)),
        html.group("Figure 6", _charts(metrics)),
        html.table("Table 1: types of tumor", types_table(metrics)),
        html.table("Table 2: images", images_table(metrics)),
        html.table("Table 3: networks", networks_table(metrics), note=NETWORKS_NOTE),
        html.table("Patients", _rows_table([(rows[i], titles[i], i in shown) for i in order])),
        *(_section(predictions[i], rows[i], titles[i]) for i in shown),
        html.provenance(predictions[0].results["manifest"]),
    ]
    num_tumors = sum(row["tumor"] for row in rows if "tumor" in row)
    return html.page(
        "FEE-DL evaluation",
        sections,
        subtitle=f"{len(rows)} studies, {num_tumors} of them of patients with a tumor.",
    )


def _section(prediction: Prediction, row: Mapping[str, Any], title: str) -> html.Section:
    case = {**prediction.row, "title": title}
    return patient_section(case, prediction.output, note=_truth(row))


def _title(row: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Id, with the rule where there are two."""
    return f"{row['id']} {row['group']}" if len(metrics["groups"]) > 1 else row["id"]


def system_table(metrics: Mapping[str, Any]) -> Table:
    """The whole system, the paper's figures beside ours (Fig. 6; Table 3)."""
    summary = metrics["summary"]
    ours, paper = _rates(_counts(summary)), _rates(PAPER)
    area = f"{summary['auc']:.3f} ({_interval(summary['auc_ci'])})"
    seconds = summary.get("seconds", float("nan"))
    return Table(
        ("", "paper", "ours"),
        [
            *((name, paper[name], ours[name]) for name in paper),
            ("AUC", f"{PAPER_AUC:.3f}", area),
            *(
                (title, percent(shares[2]), _networks(summary)[name])
                for name, (title, shares) in PAPER_NETWORKS.items()
            ),
            ("images used", _share(*PAPER_USED), _share(*_used(summary))),
            ("seconds per patient", f"{PAPER_SECONDS:.1f}", f"{seconds:.1f}"),
        ],
    )


def _rates(counts: Counts) -> dict[str, str]:
    """Every rate of a confusion matrix, with its interval."""
    tp, fp, fn, tn = counts
    low, high = f1_interval(counts)
    return {
        "accuracy": proportion(tp + tn, sum(counts)),
        "precision": proportion(tp, tp + fp),
        "recall, sensitivity": proportion(tp, tp + fn),
        "specificity": proportion(tn, tn + fp),
        "F1": f"{percent(f1(counts))} (95 % CI {100 * low:.1f}–{100 * high:.1f})",
    }


def types_table(metrics: Mapping[str, Any]) -> Table:
    """Patients of each type and how many of them were called rightly (Table 1; Fig. 6C)."""
    ours = {line["type"]: line for line in metrics["summary"]["types"]}
    names = [*PAPER_TYPES, *(name for name in ours if name not in PAPER_TYPES)]
    lines = []
    for name in names:
        train, test, share = PAPER_TYPES.get(name, (None, None, None))
        papers_right = UNDEFINED if share is None else percent(share)
        line = ours.get(name, {"num": 0, "num_right": 0})
        right = proportion(line["num_right"], line["num"])
        lines.append((name, train, test, papers_right, line["num"], right))
    columns = ("", "paper, training", "paper, testing", "paper, right", "ours", "ours, right")
    return Table(columns, lines)


def images_table(metrics: Mapping[str, Any]) -> Table:
    """Patients and images (Table 2); age and sex are in headers, which nothing here reads."""
    summary = metrics["summary"]
    done = _headline(metrics)
    used = {is_: sum(r["num_used"] for r in done if r["tumor"] is is_) for is_ in (True, False)}
    return Table(
        ("", "paper, testing", "ours"),
        [
            ("patients", f"{sum(PAPER)}", f"{summary['num_patients']}"),
            ("images of patients with a tumor", f"{PAPER_TUMOR_IMAGES:,}", f"{used[True]:,} used"),
            ("images of others", f"{PAPER_NORMAL_IMAGES:,}", f"{used[False]:,} used"),
            ("all images", f"{PAPER_USED[1]:,}", f"{summary['num_files']:,} files"),
            ("used after screening", _share(*PAPER_USED), _share(*_used(summary))),
        ],
    )


def networks_table(metrics: Mapping[str, Any]) -> Table:
    """Each network by itself, in training, validation and testing (Table 3)."""
    summary = metrics["summary"]
    parts = [summary["seen"].get("train"), summary["seen"].get("val"), summary]
    ours = [_networks(part) if part else dict.fromkeys(PAPER_NETWORKS) for part in parts]
    names = ("training", "validation", "testing")
    columns = [f"{side}, {name}" for side in ("paper", "ours") for name in names]
    return Table(
        ("", *columns),
        [
            (title, *map(percent, shares), *(part[name] for part in ours))
            for name, (title, shares) in PAPER_NETWORKS.items()
        ],
    )


def _networks(summary: Mapping[str, Any]) -> dict[str, str]:
    """Our figures of each network."""
    nan = float("nan")
    return {
        "locate": _share(summary["num_right_slices"], summary["num_annotated_slices"]),
        "diagnose": _share(summary["num_right_diagnosed"], summary["num_diagnosed"]),
        **{
            name: mean_sd(summary.get(name, nan), summary.get(f"{name}_sd", nan))
            for name in ("miou", "dsc")
        },
    }


def _headline(metrics: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Rows that count, of the first rule."""
    first = next(iter(metrics["groups"]))
    return [row for row in headline(metrics["rows"]) if row["group"] == first]


def _note(summary: Mapping[str, Any]) -> str:
    return (
        "The paper's figures are of its own 347 patients; other data cannot be compared number by "
        "number. Patients first, intervals of 95 %. "
        f"{failures_note(summary)} {summary['num_without_truth']} diagnosed patients are not in "
        "the data."
    )


def _truth(row: Mapping[str, Any]) -> str:
    return f"Truth: {row['tumor_type'] or 'tumor'}." if row["tumor"] else "Truth: no tumor."


def _tiles(summary: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]) -> list[html.Tile]:
    titles = {"accuracy": "accuracy", "f1": "F1", "auc": "AUC", "dsc": "pancreas DSC"}
    tiles = []
    for name, title in titles.items():
        if name in summary and np.isfinite(summary[name]):
            note = _interval(summary[f"{name}_ci"])
            tiles.append(html.Tile(title, f"{summary[name]:.3f}", note))
    used = used_files(cases)
    return tiles if used is None else [*tiles, used]


def _charts(metrics: Mapping[str, Any]) -> list[html.Section]:
    """Confusion matrix, ROC curve and accuracy by type, as far as the patients allow."""
    summary, counts = metrics["summary"], _counts(metrics["summary"])
    png = confusion_matrix(counts, positive="tumor", negative="normal")
    alt = "Confusion matrix: {} hits, {} false alarms, {} misses, {} rightly normal".format(*counts)
    charts = [html.figure("A: confusion matrix", png, alt=alt)]
    done = _headline(metrics)
    tumor = np.array([row["tumor"] for row in done], bool)
    if tumor.any() and not tumor.all():
        points = roc_curve(np.array([row["score"] for row in done]), tumor)
        marks = {
            "here": (summary["sensitivity"], summary["specificity"]),
            "paper": (sensitivity(PAPER), specificity(PAPER)),
        }
        png = figures.roc(points, area=summary["auc"], interval=summary["auc_ci"], marks=marks)
        alt = f"ROC curve with an area of {summary['auc']:.3f}"
        charts.append(html.figure("B: ROC of the patients' score", png, alt=alt))
    png = shares_by_group(
        {line["type"]: (line["num_right"], line["num"]) for line in summary["types"]},
        label="Accuracy",
        average=summary["accuracy"],
        average_name="all patients",
    )
    alt = "Accuracy among the patients of each type of tumor"
    return [*charts, html.figure("C: accuracy by type", png, alt=alt)]


def _rows_table(rows: Sequence[tuple[Mapping[str, Any], str, bool]]) -> Table:
    """A line for each row, its title, and whether a section below is of it."""
    columns = ("patient", "truth", "called", "right", "score", "with pancreas", "DSC", "MIoU", "s")
    names = ("score", "num_kept", "dsc", "miou", "seconds", "part")
    lines = []
    for row, title, has_section in rows:
        right = Badge("yes", "good") if row.get("right") else Badge("no", "bad")
        done = row["status"] == "done"
        tumor_type = (row["tumor_type"] or "tumor") if row.get("tumor") else "normal"
        lines.append(
            (
                Link(title, title) if has_section else title,
                tumor_type if "tumor" in row else None,
                badge(("tumor" if row["called"] else "normal") if done else "failed"),
                right if done else None,
                *(row.get(name) for name in names),
            )
        )
    return without_empty((*columns, "learned from"), lines)


def _counts(summary: Mapping[str, Any]) -> Counts:
    return Counts(*(summary[f"num_{name}"] for name in Counts._fields))


def _used(summary: Mapping[str, Any]) -> tuple[int, int]:
    return summary["num_used"], summary["num_files"]


def _share(part: int, whole: int) -> str:
    return f"{percent(part / whole)} ({part:,}/{whole:,})" if whole else UNDEFINED


def _interval(interval: Interval) -> str:
    low, high = interval
    return "no interval" if np.isnan(low) else f"95 % CI {low:.3f}–{high:.3f}"
