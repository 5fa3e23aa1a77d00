"""What FEE-DL shows: the pancreas in a scan, why a slice was decided, and the page of patients."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from core.report import html
from core.report import overlay as views
from core.report.outline import Outline
from core.report.picture import PRED_COLOR, picture
from core.report.table import Badge, Link, Table, percent
from core.volume import Volume
from fee.predict_series import ExplainedSlice
from fee.saliency import brightness

TONES = {"tumor": "bad", "normal": "good", "failed": "warn"}
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
    cases = results["cases"]
    decisions = [case.get("decision", "failed") for case in cases]
    tiles = [html.Tile("patients", str(len(cases)))]
    tiles += [html.Tile(name, str(decisions.count(name))) for name in TONES]
    if used := used_files(cases):
        tiles.append(used)
    done = [case for case in cases if case["status"] == "done"]
    sections = [
        html.tiles("Diagnosis", tiles),
        html.table("Patients", _table(cases), note=_note(results)),
        *(patient_section(case, out) for case in done[: html.MAX_PICTURES]),
        html.provenance(results["manifest"]),
    ]
    return html.page(
        "FEE-DL diagnosis",
        sections,
        subtitle="Pancreatic tumors in contrast-enhanced CT. For research only.",
    )


def used_files(cases: Sequence[Mapping[str, Any]]) -> html.Tile | None:
    """Share of all files that the networks saw; None if no patient got that far."""
    used, skipped, error = (
        sum(case.get(f"num_{name}", 0) for case in cases) for name in ("used", "skipped", "error")
    )
    num = used + skipped + error
    if not num:
        return None
    return html.Tile("files used", percent(used / num), f"{used:,} of {num:,}; {error:,} damaged")


def badge(decision: str) -> Badge:
    """Colored word for a decision."""
    return Badge(decision, TONES[decision])  # type: ignore[arg-type]


def patient_section(case: Mapping[str, Any], out: Path, note: str = "") -> html.Section:
    """One diagnosed patient, folded: pictures, series and seconds.

    Args:
      case: of results.json; its "title" stands for its id where there is one.
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
    parts += [html.table("Series", _series_table(case)), html.table("Seconds", seconds)]
    parts.append(html.text("Screening", f"{case['screening']}."))
    notes = " ".join(text for text in (note, case["note"]) if text)
    return html.details(
        case.get("title", case["id"]), parts, badge=badge(case["decision"]), note=notes
    )


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


def _table(cases: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each patient; columns that would be empty in all lines are left out."""
    names = {
        "PatientID": "patient_id",
        "score": "score",
        "slices": "num_slices",
        "with pancreas": "num_kept",
        "not segmented": "num_empty",
        "files used": "num_used",
        "skipped": "num_skipped",
        "damaged": "num_error",
        "s": "seconds",
        "error": "error",
    }
    filled = {title: name for title, name in names.items() if any(name in case for case in cases)}
    linked = {
        case["id"] for case in [c for c in cases if c["status"] == "done"][: html.MAX_PICTURES]
    }
    rows = [
        (
            Link(case["id"], case["id"]) if case["id"] in linked else case["id"],
            badge(case.get("decision", "failed")),
            *(case.get(name) for name in filled.values()),
        )
        for case in cases
    ]
    return Table(("patient", "decision", *filled), rows)


def _series_table(case: Mapping[str, Any]) -> Table:
    columns = ("series", "evidence", "slices", "with pancreas", "mean probability", "pancreas ml")
    names = ("evidence", "num_slices", "num_kept", "mean_probability", "pancreas_ml")
    rows = [
        (phase["name"], *(phase.get(name) for name in names), phase.get("error") or phase["note"])
        for phase in case["phases"]
    ]
    return Table((*columns, "note"), rows)
