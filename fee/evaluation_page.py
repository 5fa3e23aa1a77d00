"""The page of `fee evaluate`: Tables 1 to 3 and Figure 6 beside ours, and every patient."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.commands.evaluate import Prediction, failures_note, headline_of_first
from core.metrics.classification import f1, sensitivity, specificity
from core.metrics.intervals import f1_interval
from core.metrics.overlap import Counts
from core.metrics.rows import Row
from core.report import html
from core.report.agreement import confusion_matrix, shares_by_group
from core.report.cases import RIGHT, case_table, listed
from core.report.evaluation import OWN_DATA, metric_tiles, roc_figures, summary_mean_sd
from core.report.table import UNDEFINED, Table, ci, percent, proportion
from fee.report import BADGES, patient_section, used_files

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
TILES = {"accuracy": "accuracy", "f1": "F1", "auc": "AUC", "dsc": "pancreas DSC"}
CALLS = {True: "tumor", False: "normal"}
COLUMNS = {
    "truth": lambda row: _type(row) if "tumor" in row else None,
    "called": lambda row: BADGES[CALLS.get(row.get("called"), "failed")],
    "right": lambda row: RIGHT.get(row.get("right")),
    "score": "score",
    "with pancreas": "num_kept",
    "DSC": "dsc",
    "MIoU": "miou",
    "s": "seconds",
    "learned from": "part",
}
"""Of the patients."""


def evaluation_page(metrics: Mapping[str, Any], predictions: Sequence[Prediction]) -> str:
    """The whole page.

    Args:
      metrics: summary, groups and rows of `fee.evaluate`.
      predictions: cases behind the rows, in their order.
    """
    summary, rows = metrics["summary"], metrics["rows"]
    cases = listed(rows, [row.get("right", False) for row in rows])
    tiles = metric_tiles(summary, TILES) + used_files([p.row for p in predictions])
    num_tumors = sum(row["tumor"] for row in rows if "tumor" in row)
    return html.page(
        "FEE-DL evaluation",
        [
            html.tiles("Diagnosis", tiles),
            html.table("Beside the paper", system_table(metrics), note=_note(summary)),
            html.group("Figure 6", _charts(metrics)),
            html.table("Table 1: types of tumor", types_table(metrics)),
            html.table("Table 2: images", images_table(metrics)),
            html.table("Table 3: networks", networks_table(metrics), note=NETWORKS_NOTE),
            html.table("Patients", case_table("patient", COLUMNS, cases)),
            *(_section(case, predictions) for case in cases if case["has_section"]),
            html.provenance(predictions[0].results["manifest"]),
        ],
        subtitle=f"{len(rows)} studies, {num_tumors} of them of patients with a tumor.",
    )


def _section(case: Row, predictions: Sequence[Prediction]) -> html.Section:
    prediction = predictions[case["index"]]
    truth = f"Truth: {_type(case) if case['tumor'] else 'no tumor'}."
    return patient_section(case["title"], prediction.row, prediction.output, note=truth)


def system_table(metrics: Mapping[str, Any]) -> Table:
    """The whole system, the paper's figures beside ours (Fig. 6; Table 3)."""
    summary = metrics["summary"]
    ours, paper, networks = _rates(_counts(summary)), _rates(PAPER), _networks(summary)
    area = f"{summary['auc']:.3f} ({ci(summary['auc_ci'])})"
    seconds = summary.get("seconds", float("nan"))
    return Table(
        ("", "paper", "ours"),
        [
            *((name, paper[name], ours[name]) for name in paper),
            ("AUC", f"{PAPER_AUC:.3f}", area),
            *(
                (title, percent(testing), networks[name])
                for name, (title, (*_, testing)) in PAPER_NETWORKS.items()
            ),
            ("images used", _share(*PAPER_USED), _share(summary["num_used"], summary["num_files"])),
            ("seconds per patient", f"{PAPER_SECONDS:.1f}", f"{seconds:.1f}"),
        ],
    )


def _rates(counts: Counts) -> dict[str, str]:
    """Every rate of a confusion matrix, with its interval."""
    tp, fp, fn, tn = counts
    return {
        "accuracy": proportion(tp + tn, sum(counts)),
        "precision": proportion(tp, tp + fp),
        "recall, sensitivity": proportion(tp, tp + fn),
        "specificity": proportion(tn, tn + fp),
        "F1": f"{percent(f1(counts))} ({ci(f1_interval(counts), in_percent=True)})",
    }


def types_table(metrics: Mapping[str, Any]) -> Table:
    """Patients of each type and how many of them were called rightly (Table 1; Fig. 6C)."""
    ours = {line["type"]: (line["num_right"], line["num"]) for line in metrics["summary"]["types"]}
    lines = []
    for name in dict.fromkeys([*PAPER_TYPES, *ours]):
        num_train, num_test, share = PAPER_TYPES.get(name, (None, None, None))
        paper_right = None if share is None else percent(share)
        num_right, num = ours.get(name, (0, 0))
        lines.append((name, num_train, num_test, paper_right, num, proportion(num_right, num)))
    columns = ("", "paper, training", "paper, testing", "paper, right", "ours", "ours, right")
    return Table(columns, lines)


def images_table(metrics: Mapping[str, Any]) -> Table:
    """Patients and images (Table 2); age and sex are in headers, which nothing here reads."""
    summary = metrics["summary"]
    rows = headline_of_first(metrics)
    with_tumor, without = (
        sum(row["num_used"] for row in rows if row["tumor"] is has_tumor)
        for has_tumor in (True, False)
    )
    return Table(
        ("", "paper, testing", "ours"),
        [
            ("patients", f"{sum(PAPER)}", f"{summary['num_patients']}"),
            ("images of patients with a tumor", f"{PAPER_TUMOR_IMAGES:,}", f"{with_tumor:,} used"),
            ("images of others", f"{PAPER_NORMAL_IMAGES:,}", f"{without:,} used"),
            ("all images", f"{PAPER_USED[1]:,}", f"{summary['num_files']:,} files"),
            (
                "used after screening",
                _share(*PAPER_USED),
                _share(summary["num_used"], summary["num_files"]),
            ),
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
    return {
        "locate": _share(summary["num_right_slices"], summary["num_annotated_slices"]),
        "diagnose": _share(summary["num_right_diagnosed"], summary["num_diagnosed"]),
        **{name: summary_mean_sd(summary, name) for name in ("miou", "dsc")},
    }


def _note(summary: Row) -> str:
    return (
        f"{OWN_DATA.format('347 patients')} Patients first, intervals of 95 %. "
        f"{failures_note(summary)} {summary['num_without_truth']} diagnosed patients are not in "
        "the data."
    )


def _charts(metrics: Mapping[str, Any]) -> list[html.Section]:
    """Confusion matrix, ROC curve and accuracy by type, as far as the patients allow."""
    summary, counts = metrics["summary"], _counts(metrics["summary"])
    png = confusion_matrix(counts, positive="tumor", negative="normal")
    alt = "Confusion matrix: {} hits, {} false alarms, {} misses, {} rightly normal".format(*counts)
    charts = [html.figure("A: confusion matrix", png, alt=alt)]
    marks = {
        "here": (summary["sensitivity"], summary["specificity"]),
        "paper": (sensitivity(PAPER), specificity(PAPER)),
    }
    rows, title = headline_of_first(metrics), "B: ROC of the patients' score"
    charts += roc_figures(title, rows, "tumor", summary, marks)
    png = shares_by_group(
        {line["type"]: (line["num_right"], line["num"]) for line in summary["types"]},
        label="Accuracy",
        average=summary["accuracy"],
        average_name="all patients",
    )
    alt = "Accuracy among the patients of each type of tumor"
    return [*charts, html.figure("C: accuracy by type", png, alt=alt)]


def _type(row: Row) -> str:
    return (row["tumor_type"] or "tumor") if row["tumor"] else "normal"


def _counts(summary: Mapping[str, Any]) -> Counts:
    return Counts(*(summary[f"num_{name}"] for name in Counts._fields))


def _share(part: int, whole: int) -> str:
    return f"{percent(part / whole)} ({part:,}/{whole:,})" if whole else UNDEFINED
