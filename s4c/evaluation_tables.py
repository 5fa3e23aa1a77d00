"""Tables 1 and 2 of the papers, and ours beside them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from core.metrics.rows import Row
from core.report.evaluation import summary_mean_sd
from core.report.table import Table, ci, percent, proportion
from s4c.classifier.config import CLASSIFICATION

BOTH = "both phases"
"""Of a system that calls a patient if either phase does (PNET Table 2)."""


class Published(NamedTuple):
    """What a paper reports.

    Args:
      data: what its figures are of.
      rows: figures of ours by the name of their row, in the order of the paper's.
      systems: figures of Table 1 by system.
      together: of Table 2, by system; none where there is no such table.
      best: the system that the paper is about.
      point: its sensitivity and specificity.
    """

    data: str
    rows: Mapping[str, str]
    systems: Mapping[str, tuple[str, ...]]
    together: Mapping[str, tuple[str, ...]]
    best: str
    point: tuple[float, float]


_DSC = {name: name for name in ("normal pancreas DSC", "abnormal pancreas DSC", "tumor DSC")}
_CALLS = {name: name for name in ("misses", "wrong calls", "sensitivity", "specificity")}
PUBLISHED = {
    "PDAC": Published(
        "439 scans",
        # A miss is a tumor that nothing overlaps (Table 1), not one that is called normal.
        _DSC | {"misses": "no overlap", "sensitivity": "sensitivity", "specificity": "specificity"},
        {
            "64³": (
                *("86.90 ± 8.57 %", "80.98 ± 10.75 %", "57.25 ± 28.05 %"),
                *("10/136", "92.7 %", "99.0 %"),
            ),
            "32³": (
                *("82.01 ± 12.21 %", "75.66 ± 19.92 %", "53.84 ± 26.08 %"),
                *("7/136", "94.9 %", "96.0 %"),
            ),
            "16³": (
                *("61.53 ± 20.64 %", "64.14 ± 20.16 %", "42.53 ± 26.63 %"),
                *("4/136", "97.1 %", "86.5 %"),
            ),
            "multi": (
                *("84.52 ± 11.11 %", "78.60 ± 18.34 %", "56.46 ± 26.23 %"),
                *("8/136", "94.1 %", "98.5 %"),
            ),
        },
        {},
        "multi",
        (0.941, 0.985),
    ),
    "PNET": Published(
        "376 patients",
        _DSC | _CALLS,
        {
            "venous": ("87.41 %", "84.69 %", "43.11 %", "40/228", "12/148", "82.46 %", "91.89 %"),
            "venous, 3D U-Net": (
                *("87.70 %", "83.84 %", "41.43 %"),
                *("42/228", "16/148", "81.58 %", "89.19 %"),
            ),
            "venous, V-Net": (
                *("86.76 %", "83.90 %", "40.67 %"),
                *("49/228", "20/148", "78.51 %", "86.49 %"),
            ),
            "arterial": ("81.78 %", "83.34 %", "42.49 %", "44/228", "21/148", "80.70 %", "85.81 %"),
            "arterial, 3D U-Net": (
                *("82.47 %", "83.33 %", "42.58 %"),
                *("44/228", "20/148", "80.70 %", "86.49 %"),
            ),
            "arterial, V-Net": (
                *("83.85 %", "82.79 %", "39.22 %"),
                *("43/228", "31/148", "81.14 %", "79.05 %"),
            ),
        },
        {
            BOTH: ("24/228", "28/148", "89.47 %", "81.08 %"),
            f"{BOTH}, 3D U-Net": ("26/228", "31/148", "88.60 %", "79.05 %"),
            f"{BOTH}, V-Net": ("28/228", "37/148", "87.72 %", "75.00 %"),
            f"{BOTH}, classification": ("24/228", "23/148", "89.47 %", "84.46 %"),
        },
        BOTH,
        (0.8947, 0.8108),
    ),
}
"""By what an abnormal scan is called. A system without another name is S4C's ResDSN."""


def table_1(metrics: Mapping[str, Any]) -> Table:
    """Our figures of each scan in the paper's rows, beside the paper's own; a column a system.

    Args:
      metrics: of `s4c.evaluate`.
    """
    published = PUBLISHED[metrics["positive"]]
    groups = {name: group for name, group in metrics["groups"].items() if not _is_both(name)}
    return _table(groups, published.rows, published.systems)


def table_2(metrics: Mapping[str, Any]) -> Table | None:
    """Our figures of two phases together, likewise; None where nothing looked at two."""
    published = PUBLISHED[metrics["positive"]]
    groups = {name: group for name, group in metrics["groups"].items() if _is_both(name)}
    return _table(groups, _CALLS, published.together) if groups else None


def _is_both(name: str) -> bool:
    return name.startswith(BOTH)


def _table(
    groups: Mapping[str, Row], rows: Mapping[str, str], published: Mapping[str, tuple[str, ...]]
) -> Table:
    titles = [f"ours, {name}" if len(groups) > 1 else "ours" for name in groups]
    columns = ("", *titles, *(f"paper, {system}" for system in published))
    figures = [_figures(name, summary) for name, summary in groups.items()]
    ours = [[of_one[key] for key in rows.values()] for of_one in figures]
    return Table(columns, list(zip(rows, *ours, *published.values(), strict=True)))


def _figures(name: str, summary: Row) -> dict[str, str]:
    """Figures of one system by their names."""
    called_normal = proportion(summary["num_true_negative"], summary["num_normal"])
    # Where the model of every fold has screened the same normal cases.
    if summary["num_normal"] > summary["num_normal_patients"] and summary["num_folds"] > 1:
        called_normal = (
            f"{percent(summary['specificity'])} (mean of {summary['num_folds']} folds; "
            f"{ci(summary['specificity_ci'], in_percent=True)})"
        )
    # A classifier misses what it calls normal: the segmentation beside it is the coarse network's.
    is_classifier = name.endswith(CLASSIFICATION)
    num_misses = summary["num_false_negative" if is_classifier else "num_misses"]
    return {
        "normal pancreas DSC": summary_mean_sd(summary, "normal_pancreas_dsc"),
        "abnormal pancreas DSC": summary_mean_sd(summary, "abnormal_pancreas_dsc"),
        "tumor DSC": summary_mean_sd(summary, "tumor_dsc"),
        "no overlap": f"{num_misses}/{summary['num_abnormal']}",
        "misses": f"{summary['num_false_negative']}/{summary['num_abnormal']}",
        "wrong calls": f"{summary['num_false_positive']}/{summary['num_normal']}",
        "sensitivity": proportion(summary["num_true_positive"], summary["num_abnormal"]),
        "specificity": called_normal,
    }
