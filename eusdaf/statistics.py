"""Whether stage, location or class of a lesion matters for its segmentation (Sec. 2.6, Fig. 7)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.metrics.compare import holm
from core.metrics.hypothesis import kruskal_wallis, pairwise, shapiro_wilk
from core.metrics.rows import Row, column

VALUES = ("dsc", "iou")
FACTORS = ("stage", "location", "category")


def groups_of(rows: Sequence[Row], factor: str, value: str) -> dict[str, np.ndarray]:
    """Values of lesions by stage, location or class, as far as these are known."""
    lesions = [row for row in rows if row["has_lesion"]]
    known = sorted({str(row[factor]) for row in lesions if row[factor] is not None})
    return {
        name: column([row for row in lesions if str(row[factor]) == name], value) for name in known
    }


def statistics(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """One line per test: Shapiro–Wilk of each value, Kruskal–Wallis over each factor and its pairs.

    Args:
      rows: of segmented pictures of one network.

    Returns:
      {"test", "value", "groups", "statistic", "p", "p_holm" (of pairs, Holm's correction), "num",
      "reason" (why there is no p)}.
    """
    lesions = [row for row in rows if row["has_lesion"]]
    lines = []
    for value in VALUES if lesions else ():
        result = shapiro_wilk(column(lesions, value))
        lines.append(_line("Shapiro–Wilk", value, "all", result))
        for factor in FACTORS:
            by_group = groups_of(rows, factor, value)
            if len(by_group) < 2:
                continue
            lines.append(_line("Kruskal–Wallis", value, factor, kruskal_wallis(by_group)))
            pairs = pairwise(by_group)
            corrected = holm([result.p_value for result in pairs.values()])
            for ((a, b), result), p in zip(pairs.items(), corrected, strict=True):
                line = _line("Kruskal–Wallis", value, f"{factor}: {a} – {b}", result)
                lines.append(line | {"p_holm": p})
    return lines


def _line(test: str, value: str, name: str, result) -> dict[str, Any]:
    return {
        "test": test,
        "value": value,
        "groups": name,
        "statistic": result.statistic,
        "p": result.p_value,
        "num": result.num,
        "reason": result.reason,
    }
