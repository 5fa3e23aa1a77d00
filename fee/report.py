"""What FEE-DL shows: the pancreas in a scan, why a slice was decided, and the page of patients."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from core.metrics.rows import Row
from core.report import html
from core.report import overlay as views
from core.report.cases import results_page
from core.report.outline import Outline
from core.report.picture import PRED_COLOR, picture
from core.report.table import Table, badges, percent, table_of
from core.volume import Volume
from fee.predict_series import ExplainedSlice
from fee.saliency import brightness

BADGES = badges({"tumor": "bad", "normal": "good", "failed": "warn"})
COLUMNS = {
    "decision": lambda case: BADGES[case["decision"]],
    "PatientID": "patient_id",
    "score": "score",
    "slices": "num_slices",
    "with pancreas": "num_kept",
    "not segmented": "num_empty",
    "files used": "num_used",
    "skipped": "num_skipped",
    "damaged": "num_error",
}
"""Of the patients of a diagnosis."""
SERIES_COLUMNS = {
    "series": "name",
    "evidence": "evidence",
    "slices": "num_slices",
    "with pancreas": "num_kept",
    "mean probability": "mean_probability",
    "pancreas ml": "pancreas_ml",
    "note": lambda phase: phase.get("error") or phase["note"],
}
MARGIN_MM, LEAST_MM = 25.0, 110.0
"""Around the pancreas in a saliency picture, and the least that is shown."""
PALE = 0.55
"""How much of black the CT under a saliency map keeps, so that dark pixels stand out."""


def overlay(volume: Volume, pancreas: Bool[np.ndarray, "d h w"]) -> bytes:
    """PNG of a scan through its pancreas, with the outline.

    Args:
      volume: canonical CT in Hounsfield units.
      pancreas: predicted voxels.
    """
    outlines = (
        [Outline("pancreas, predicted", pancreas, PRED_COLOR, True)] if pancreas.any() else []
    )
    return views.overlay(volume, outlines, pancreas)


def saliency_picture(explained: ExplainedSlice, influence: Float[np.ndarray, "s s"]) -> bytes:
    """PNG of a slice around its pancreas: the CT on the left, its saliency on the right (Fig. 7).

    On the right the CT is pale, and darker where the decision depends on it more: each pixel is
    multiplied with 1 − M / max(M).

    Args:
      explained: the slice.
      influence: M of every pixel.
    """
    near = _surroundings(explained.mask > 0, explained.pixel_mm)
    gray, mask = explained.image[near], explained.mask[near] > 0
    pale = 255 - PALE * (255 - gray.astype(np.float64))
    salient = np.rint(pale * brightness(influence)[near]).astype(np.uint8)
    outline = Outline("pancreas", np.hstack([mask, np.zeros_like(mask)]), PRED_COLOR, False)
    title = f"{explained.series}, slice {explained.index + 1}: tumor {explained.prob:.3f}"
    return picture(np.hstack([gray, salient]), [outline], title=title, pixel_mm=explained.pixel_mm)


def _surroundings(
    mask: Bool[np.ndarray, "s s"], pixel_mm: tuple[float, float]
) -> tuple[slice, slice]:
    """Rows and columns of a square around an object; everything where there is none."""
    if not mask.any():
        return slice(None), slice(None)
    rows, columns = np.nonzero(mask)
    ends = [((i.min(), i.max() + 1), mm) for i, mm in zip((rows, columns), pixel_mm, strict=True)]
    side = max(LEAST_MM, max((b - a) * mm for (a, b), mm in ends) + 2 * MARGIN_MM)
    parts = []
    for (first, last), mm in ends:
        start = max(0, round((first + last - side / mm) / 2))
        parts.append(slice(start, round((first + last + side / mm) / 2)))
    return parts[0], parts[1]


def diagnosis_page(results: Mapping[str, Any], out: Path) -> str:
    """Page of `fee diagnose`: what was found in whom, from which slices, and why.

    Args:
      results: content of results.json.
      out: folder that holds the pictures in cases/<id>/.
    """
    return results_page(
        results,
        system="FEE-DL",
        job="diagnosis",
        case="patient",
        labels={word: word for word in BADGES},
        columns=COLUMNS,
        section=lambda case: patient_section(case["id"], case, out),
        subtitle="Pancreatic tumors in contrast-enhanced CT.",
        note=_note(results),
        tiles=used_files(results["cases"]),
    )


def used_files(cases: Sequence[Row]) -> list[html.Tile]:
    """Share of all files that the networks saw; nothing if no patient got that far."""
    used, skipped, error = (
        sum(case.get(f"num_{name}", 0) for case in cases) for name in ("used", "skipped", "error")
    )
    num = used + skipped + error
    note = f"{used:,} of {num:,}; {error:,} damaged"
    return [html.Tile("files used", percent(used / num), note)] if num else []


def patient_section(title: str, case: Row, out: Path, note: str = "") -> html.Section:
    """One diagnosed patient, folded: pictures, series and seconds.

    Args:
      title: of the section.
      case: of results.json.
      out: folder that holds cases/<id>/.
      note: the first line.
    """
    folder = out / "cases" / case["id"]
    pngs = [("overlay.png", f"CT of {case['id']} with the pancreas outlined", "")]
    pngs += [
        (explained["file"], f"A slice of {case['id']} beside its saliency map", _caption(explained))
        for explained in case["explained"]
    ]
    parts = [
        html.figure("", (folder / name).read_bytes(), alt=alt, caption=caption)
        for name, alt, caption in pngs
    ]
    seconds = Table(tuple(case["stage_seconds"]), [tuple(case["stage_seconds"].values())])
    series = table_of(SERIES_COLUMNS, case["phases"])
    parts += [html.table("Series", series), html.table("Seconds", seconds)]
    parts.append(html.text("Screening", f"{case['screening']}."))
    notes = " ".join(text for text in (note, case["note"]) if text)
    return html.details(title, parts, badge=BADGES[case["decision"]], note=notes)


def _caption(explained: Mapping[str, Any]) -> str:
    return (
        f"Slice {explained['slice'] + 1} of the {explained['series']} series from the feet, tumor "
        f"probability {explained['tumor']:.3f}. Right: darker pixels have more influence."
    )


def _note(results: Mapping[str, Any]) -> str:
    rules = {
        "mean": "The score is the mean tumor probability of the slices with pancreas, all phases "
        f"together; from {results['threshold']:g} on it is a tumor.",
        "vote": "The score is the share of the slices with pancreas that are called tumor, all "
        "phases together; from one half on it is a tumor.",
    }
    return rules[results["rule"]]
