"""Screening new scans with a trained cascade: from files to a decision and a segmentation."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core import atomic, json_io, sharding
from core.config import fingerprint
from core.datasets.pancreas import NAMES
from core.io.inventory import find_scans
from core.io.paths import find_all
from core.io.scans import Scan, read_scan, write_segmentation
from core.preprocess.intensity import window, z_score
from core.report import results
from core.report.manifest import manifest
from core.volume import Volume, canonical
from s4c.cascade import Segmentation, segment
from s4c.decision import Decision, decide, remove_outliers
from s4c.networks import Cascade, load_cascade
from s4c.report import overlay, screening_page

logger = logging.getLogger(__name__)


def screen(inputs: Sequence[Path], runs: Sequence[Path], out: Path) -> int:
    """Screen every scan found in `inputs`; write results, segmentations, overlays and a report.

    Args:
      inputs: NIfTI files, DICOM folders, or folders of either.
      runs: run folders of the cascade.
      out: gets results.json, report.html and cases/<id>/.

    Returns:
      0 if every scan was screened, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to screen, or runs that make no cascade.
    """
    scans, skipped = find_all(inputs, find_scans)
    mesh = sharding.mesh()
    cascade = load_cascade(runs, mesh)
    cases = results.broken(skipped)
    for number, scan in enumerate(scans, start=1):
        work = partial(_screened, scan, cascade, out / "cases" / scan.id)
        case = results.attempt(scan.id, scan.path, work)
        logger.info("%d/%d  %s  %s", number, len(scans), scan.id, _summary(case))
        cases.append(case)
    provenance = manifest(
        fingerprint=fingerprint(cascade.cfg), devices=[str(d) for d in mesh.devices.flat]
    )
    written = results.write(out, cases, skipped=skipped, provenance=provenance)
    atomic.write_text(out / "report.html", screening_page(written, out))
    return int(results.any_failed(cases))


def _screened(scan: Scan, cascade: Cascade, folder: Path) -> dict[str, Any]:
    volume = canonical(read_scan(scan))
    seen, decision = screen_volume(volume, cascade)
    written = write_segmentation(folder, scan, volume.with_array(seen.label), NAMES)
    atomic.write_bytes(folder / "overlay.png", overlay(volume, seen.label))
    row = {
        "decision": "PDAC" if decision.positive else "normal",
        "score": decision.score,
        "num_tumor_voxels": decision.num_tumor_voxels,
        "num_pancreas_voxels": decision.num_pancreas_voxels,
        "tumor_ml": decision.num_tumor_voxels * volume.voxel_mm3 / 1000,
        "pancreas_ml": decision.num_pancreas_voxels * volume.voxel_mm3 / 1000,
        "roi": None if seen.roi is None else {"start": seen.roi.start, "stop": seen.roi.stop},
        "files": [path.name for path in written.files],
        "note": written.note,
    }
    json_io.write_json(folder / "prediction.json", row)
    return row


def screen_volume(volume: Volume, cascade: Cascade) -> tuple[Segmentation, Decision]:
    """Segment one canonical scan in Hounsfield units, remove outliers, decide."""
    coarse, *fine = cascade.predicts
    image = z_score(window(volume.array, *cascade.cfg.prepare.window_hu))
    seen = segment(image, coarse, fine, roi_margin=cascade.cfg.infer.roi_margin)
    seen = seen._replace(label=remove_outliers(seen.label, cascade.cfg.decision))
    return seen, decide(seen.label, seen.tumor_prob, cascade.cfg.decision)


def _summary(case: Mapping[str, Any]) -> str:
    if case["status"] == "failed":
        return "failed"
    return (
        f"{case['decision']}  score {case['score']:.2f}  tumor {case['tumor_ml']:.1f} ml  "
        f"{case['seconds']:.1f} s"
    )
