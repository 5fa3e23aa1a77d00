"""Answers that were written by hand, as `fee diagnose` leaves them."""

import json
from pathlib import Path

import numpy as np

from core.commands.results import VERSION
from core.io.nifti import write
from core.metrics.overlap import Counts
from core.report.picture import picture
from core.volume import CANONICAL_DIRECTION, Volume

SHAPE = (6, 8, 8)
SICK = {"a": "PDAC", "b": "PDAC", "c": "IPMN"}
SCORES = {"a": 0.9, "b": 0.2, "c": 0.7, "d": 0.1, "e": 0.6}
"""A hit, a miss, a hit, rightly normal, and a false alarm."""
COUNTS = Counts(true_positive=2, false_positive=1, false_negative=1, true_negative=1)
TRUE = np.zeros(SHAPE, np.uint8)
TRUE[1:4, 2:6, 2:6] = 1
TRUE[2, 3, 3] = 2
KEPT = {"a": [1, 2, 3], "b": [1, 2], "c": [1, 2, 3, 4], "d": [0], "e": []}
"""Located slices; in all of them some pancreas is segmented."""
PNG = picture(np.zeros((8, 8), np.uint8), [])


def volume(array: np.ndarray) -> Volume:
    return Volume(array, (5.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


def predicted(name: str) -> np.ndarray:
    """The true pancreas in the slices that are kept, and all of each other one."""
    pred = np.zeros(SHAPE, np.uint8)
    for d in KEPT[name]:
        pred[d] = (TRUE[d] > 0) if TRUE[d].any() else 1
    return pred


def write_case(out: Path, name: str, **changes) -> dict:
    """What `fee diagnose` leaves of a patient with one series."""
    folder = out / "cases" / name
    write(folder / "arterial" / "segmentation.nii.gz", volume(predicted(name)))
    slices = [
        {
            "slice": d,
            "pancreas": 0.5,
            "located": d in KEPT[name],
            "tumor": SCORES[name] if d in KEPT[name] else None,
        }
        for d in range(SHAPE[0])
    ]
    phase = {
        "name": "arterial",
        "phase": "arterial",
        "evidence": "series description",
        "status": "done",
        "num_slices": SHAPE[0],
        "num_kept": len(KEPT[name]),
        "num_empty": 0,
        "mean_probability": SCORES[name],
        "pancreas_ml": 1.0,
        "note": "",
    }
    row = {
        "id": name,
        "input": f"elsewhere/{name}.zip" if name == "b" else f"elsewhere/{name}",
        "status": "done",
        "decision": "tumor" if SCORES[name] >= 0.5 else "normal",
        "score": SCORES[name],
        "note": "",
        "num_slices": SHAPE[0],
        "num_kept": len(KEPT[name]),
        "num_empty": 0,
        "study": 0,
        "num_studies": 1,
        "num_used": 6,
        "num_skipped": 4,
        "num_error": 0,
        "screening": "used 6 of 10 files",
        "explained": [],
        "stage_seconds": {"screen": 1.0},
        "part": None,
        "seconds": 2.0,
    }
    (folder / "overlay.png").write_bytes(PNG)
    (folder / "prediction.json").write_text(json.dumps({"phases": [{**phase, "slices": slices}]}))
    return {**row, "phases": [phase], **changes}


def write_results(out: Path, cases: list[dict], **changes) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    run = {"path": "run", "step": 1, "fingerprint": "f", "fold": None}
    results = {
        "version": VERSION,
        "manifest": {"commit": "unknown"},
        "runs": [run],
        "fold": None,
        "choices": {},
        "rule": "mean",
        "threshold": 0.5,
        "cases": cases,
        "skipped": [],
    }
    (out / "results.json").write_text(json.dumps(results | changes))
    return out
