"""One study of a patient: its series read, predicted and written, then one decision, and why."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from core import atomic
from core.commands.predict import Answer
from core.commands.sources import digest
from core.errors import InputError
from core.infer.batches import one_behind
from core.io.paths import unique_ids
from core.io.scans import Scan, VolumeCache, write_segmentation
from core.preprocess.appearance import Appearance, appearance_of
from core.report.cases import CASE_PAGE
from core.report.viewer_panel import MAX_VOXELS, Panel, panel
from core.screening.series import Series
from core.volume import Volume, canonical
from fee.case_page import case_page
from fee.config import PrepareConfig
from fee.networks import Bundle
from fee.predict_series import (
    ExplainedSlice,
    SeriesPrediction,
    Stopwatch,
    candidates,
    decide,
    most_telling,
    predict_series,
)
from fee.report import overlay, saliency_picture
from fee.slices import PANCREAS, to_slices, to_volume

logger = logging.getLogger(__name__)

NAMES = {PANCREAS: "pancreas"}
NUM_EXPLAINED = 3
"""Slices of a patient with a saliency map, as many as Figure 7 shows."""


class LoadedSeries(NamedTuple):
    """A series in memory."""

    volume: Volume
    """Canonical, HU."""
    image: UInt8[np.ndarray, "d s s"]
    """Its slices as the networks see them."""


def diagnose_study(
    series: Sequence[Series],
    bundle: Bundle,
    folder: Path,
    watch: Stopwatch,
    *,
    volumes: VolumeCache | None = None,
    anonymous: bool = False,
) -> Answer:
    """Predict all series of one study, decide, and show why.

    Args:
      series: at least one, as screening leaves them.
      bundle: the networks.
      folder: gets <series>/segmentation.*, overlay.png, saliency_*.png and report.html.
      watch: gets the seconds of each stage.
      volumes: what screening has read already.
      anonymous: write DICOM-SEG without the patient's tags.

    Returns:
      Decision, score, note, and "phases": a line for each series; in the details with a line for
      each of its slices.

    Raises:
      InputError: no series can be read.
    """
    cfg = bundle.cfgs["diagnose"]
    names = unique_ids([used.phase for used in series], instead="series")
    phases: list[dict[str, Any]] = []
    explainable: list[ExplainedSlice] = []
    panels: list[Panel] = []
    share = MAX_VOXELS // len(series)
    digests: list[str] = []
    seen: list[tuple[Path, Appearance]] = []
    largest = -1
    scans = [used.scan for used in series]
    loads = read_ahead(scans, cfg.prepare, watch, volumes or VolumeCache())
    for name, used, loaded in zip(names, series, loads, strict=True):
        phase = {
            "name": name,
            "phase": used.phase,
            "evidence": used.evidence,
            "series": used.scan.id,
        }
        if isinstance(loaded, InputError):
            logger.error("%s", loaded)
            phases.append({**phase, "status": "failed", "error": str(loaded)})
            continue
        predicted = predict_series(loaded.image, bundle, watch)
        with watch.stage("write"):
            digests.append(digest(loaded.volume.array))
            seen.append((used.scan.path, appearance_of(loaded.volume)))
            mask = to_volume(predicted.mask, loaded.volume)
            written = _write(folder / name, used.scan, mask, anonymous)
            panels.append(panel(name, loaded.volume, mask.array, max_voxels=share))
            if int(predicted.mask.sum()) > largest:
                largest = int(predicted.mask.sum())
                atomic.write_bytes(folder / "overlay.png", overlay(loaded.volume, mask.array > 0))
        phases.append({**phase, "status": "done", **_counts(predicted), **written})
        explainable += candidates(
            name, loaded.image, predicted, volume=loaded.volume, num=NUM_EXPLAINED
        )
    done = [phase for phase in phases if phase["status"] == "done"]
    if not done:
        raise InputError(phases[0]["error"])
    num_located = sum(phase["num_kept"] for phase in done)
    probs = [s["tumor"] for phase in done for s in phase["slices"] if s["tumor"] is not None]
    decision = decide(np.array(probs, np.float64), cfg.infer, num_located=num_located)
    row = {
        **decision._asdict(),
        "num_slices": sum(phase["num_slices"] for phase in done),
        "num_kept": num_located,
        "num_empty": num_located - len(probs),
        "num_failed_series": len(phases) - len(done),
        "explained": _explain(explainable, decision.decision, bundle, folder, watch),
        "phases": [{k: v for k, v in phase.items() if k != "slices"} for phase in phases],
        "page": CASE_PAGE,
    }
    with watch.stage("write"):
        atomic.write_text(folder / CASE_PAGE, case_page(folder.name, panels, row))
    return Answer(row, digests, {"phases": phases}, seen)


def read_ahead(
    scans: Sequence[Scan], cfg: PrepareConfig, watch: Stopwatch, volumes: VolumeCache
) -> Iterator[LoadedSeries | InputError]:
    """Read one series while another is predicted; never more than these two are in memory.

    Of a series that cannot be read comes the reason.
    """
    with ThreadPoolExecutor(1) as pool:
        for future in one_behind(pool.submit(_load, scan, cfg, volumes) for scan in scans):
            with watch.stage("read"):
                try:
                    loaded = future.result()
                except InputError as error:
                    loaded = error
            yield loaded


def _load(scan: Scan, cfg: PrepareConfig, volumes: VolumeCache) -> LoadedSeries:
    volume = canonical(volumes.take(scan))
    return LoadedSeries(volume, to_slices(volume, cfg))


def _write(folder: Path, scan: Scan, label: Volume, anonymous: bool) -> dict[str, Any]:
    """Write the pancreas of a series on the grid of its source."""
    written = write_segmentation(folder, scan, label, NAMES, anonymous=anonymous)
    return {
        "pancreas_ml": int(np.count_nonzero(label.array)) * label.voxel_mm3 / 1000,
        "files": [path.name for path in written.files],
        "note": written.note,
    }


def _counts(predicted: SeriesPrediction) -> dict[str, Any]:
    """Figures of a series, and of each of its slices."""
    probs = predicted.tumor_prob
    tumor: dict[int, float] = dict(zip(predicted.voting.tolist(), probs.tolist(), strict=True))
    located = set(predicted.located.tolist())
    slices = [
        {"slice": d, "pancreas": prob, "located": d in located, "tumor": tumor.get(d)}
        for d, prob in enumerate(predicted.pancreas_prob.tolist())
    ]
    return {
        "num_slices": len(slices),
        "num_kept": len(located),
        "num_empty": len(located) - len(tumor),
        "mean_probability": float(probs.mean()) if probs.size else float("nan"),
        "slices": slices,
    }


def _explain(
    slices: Sequence[ExplainedSlice], decision: str, bundle: Bundle, folder: Path, watch: Stopwatch
) -> list[dict[str, Any]]:
    """Draw the saliency of the slices that decided, the strongest first."""
    probs, explained = np.array([slice_.prob for slice_ in slices]), []
    with watch.stage("saliency"):
        for number, i in enumerate(most_telling(probs, decision, NUM_EXPLAINED), start=1):
            chosen = slices[i]
            influence = bundle.explain(chosen.image, chosen.mask, decision)
            name = f"saliency_{number}.png"
            atomic.write_bytes(folder / name, saliency_picture(chosen, influence))
            explained.append(
                {
                    "file": name,
                    "series": chosen.series,
                    "slice": chosen.index,
                    "center_mm": chosen.center_mm,
                    "tumor": chosen.prob,
                }
            )
    return explained
