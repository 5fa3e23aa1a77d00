"""One patient: all series read, examined and written, then one decision and what led to it."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from core import atomic
from core.errors import InputError
from core.io.paths import unique_ids
from core.io.scans import Scan, read_scan, write_segmentation
from core.volume import Volume, canonical
from fee.config import PrepareConfig
from fee.decision import decide, deciding
from fee.examine import Examined, Shown, Stopwatch, candidates, examine
from fee.networks import Bundle
from fee.report import overlay, saliency_picture
from fee.screening import Series
from fee.slices import PANCREAS, to_slices, to_volume

logger = logging.getLogger(__name__)

NAMES = {PANCREAS: "pancreas"}
NUM_EXPLAINED = 3
"""Slices of a patient with a saliency map, as many as Figure 7 shows."""


class Read(NamedTuple):
    """A series in memory."""

    volume: Volume
    """Canonical, HU."""
    image: UInt8[np.ndarray, "d s s"]
    """Its slices as the networks see them."""


def diagnose_patient(
    series: Sequence[Series], bundle: Bundle, folder: Path, watch: Stopwatch
) -> dict[str, Any]:
    """Examine all series of a patient, decide, and show why.

    Args:
      series: at least one, as screening leaves them.
      bundle: the networks.
      folder: gets <series>/segmentation.*, overlay.png and saliency_*.png.
      watch: gets the seconds of each stage.

    Returns:
      Decision, score, note, and "phases": a line for each series, with "slices" for each slice.

    Raises:
      InputError: no series can be read.
    """
    cfg = bundle.cfgs["diagnose"]
    names = unique_ids([one.phase for one in series], instead="series")
    phases, shown, most = [], [], -1
    reads = read_ahead([one.scan for one in series], cfg.prepare, watch)
    for name, one, read in zip(names, series, reads, strict=True):
        told = {"name": name, "phase": one.phase, "evidence": one.evidence, "series": one.scan.id}
        if isinstance(read, InputError):
            logger.error("%s", read)
            phases.append({**told, "status": "failed", "error": str(read)})
            continue
        seen = examine(read.image, bundle, watch)
        with watch.stage("write"):
            written = _write(folder / name, one.scan, read.volume, seen)
            if int(seen.mask.sum()) > most:
                most = int(seen.mask.sum())
                picture = overlay(read.volume, to_volume(seen.mask, read.volume).array > 0)
                atomic.write_bytes(folder / "overlay.png", picture)
        phases.append({**told, "status": "done", **_counted(seen), **written})
        shown += candidates(name, read.image, seen, pixel_mm=_pixel_mm(read), num=NUM_EXPLAINED)
    if most < 0:
        raise InputError(phases[0]["error"])
    done = [phase for phase in phases if phase["status"] == "done"]
    probs = [s["tumor"] for phase in done for s in phase["slices"] if s["tumor"] is not None]
    decision = decide(np.array(probs, np.float64), cfg.infer)
    return {
        **decision._asdict(),
        "num_slices": sum(phase["num_slices"] for phase in done),
        "num_kept": len(probs),
        "num_failed_series": len(phases) - len(done),
        "explained": _explain(shown, decision.decision, bundle, folder, watch),
        "phases": phases,
    }


def read_ahead(
    scans: Sequence[Scan], cfg: PrepareConfig, watch: Stopwatch
) -> Iterator[Read | InputError]:
    """Read one series while another is examined; never more than these two are in memory."""
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(_read, scans[0], cfg)
        for following in (*scans[1:], None):
            read = _waited(ahead, watch)
            if following is not None:
                ahead = pool.submit(_read, following, cfg)
            yield read


def _waited(ahead: Future[Read], watch: Stopwatch) -> Read | InputError:
    """What was read, or why it could not be."""
    with watch.stage("read"):
        try:
            return ahead.result()
        except InputError as error:
            return error


def _read(scan: Scan, cfg: PrepareConfig) -> Read:
    volume = canonical(read_scan(scan))
    return Read(volume, to_slices(volume, cfg))


def _write(folder: Path, scan: Scan, volume: Volume, seen: Examined) -> dict[str, Any]:
    """Write the pancreas of a series on the grid of its source."""
    label = to_volume(seen.mask, volume)
    written = write_segmentation(folder, scan, label, NAMES)
    return {
        "pancreas_ml": int(np.count_nonzero(label.array)) * label.voxel_mm3 / 1000,
        "files": [path.name for path in written.files],
        "note": written.note,
    }


def _counted(seen: Examined) -> dict[str, Any]:
    """What is told about a series and each of its slices."""
    tumor: dict[int, float] = dict(zip(seen.kept.tolist(), seen.probs.tolist(), strict=True))
    slices = [
        {"slice": d, "pancreas": prob, "tumor": tumor.get(d)}
        for d, prob in enumerate(seen.located.tolist())
    ]
    mean = float(seen.probs.mean()) if seen.probs.size else float("nan")
    return {
        "num_slices": len(slices),
        "num_kept": len(tumor),
        "mean_probability": mean,
        "slices": slices,
    }


def _pixel_mm(read: Read) -> tuple[float, float]:
    """Height and width of a pixel of the slices."""
    _, rows, columns = read.volume.shape
    _, height, width = read.volume.spacing_mm
    _, *size = read.image.shape
    return height * rows / size[0], width * columns / size[1]


def _explain(
    shown: Sequence[Shown], decision: str, bundle: Bundle, folder: Path, watch: Stopwatch
) -> list[dict[str, Any]]:
    """Draw the saliency of the slices that decided, the strongest first."""
    probs, explained = np.array([one.prob for one in shown]), []
    with watch.stage("saliency"):
        for number, i in enumerate(deciding(probs, decision, NUM_EXPLAINED), start=1):
            one = shown[i]
            influence = bundle.explain(one.image, one.mask, decision)
            name = f"saliency_{number}.png"
            atomic.write_bytes(folder / name, saliency_picture(one, influence))
            explained.append(
                {"file": name, "series": one.series, "slice": one.index, "tumor": one.prob}
            )
    return explained
