"""Masks that were drawn by hand, as `eusdaf segment` and a data set have them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from core.commands.results import VERSION
from core.io.image.mask import write_mask, write_probability
from eusdaf.evaluate import GRID

SIDE = GRID
DIAGONAL = np.hypot(GRID, GRID)
STAGES = {"a": "T1", "b": "T2", "c": "T1", "d": None}
FOLDS = {"a": 0, "b": 0, "c": 1, "d": 1}


def square(first: int, last: int, *, shift: int = 0) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[first:last, first + shift : last + shift] = True
    return mask


EMPTY = np.zeros((SIDE, SIDE), bool)
TRUTH = {"a": square(50, 150), "b": square(50, 150), "c": square(50, 150), "d": EMPTY}
PRED = {"a": square(50, 150), "b": square(50, 150, shift=20), "c": EMPTY, "d": square(10, 20)}
"""Perfect, twenty pixels aside, missed, and a false alarm."""


def write_truth(root: Path) -> Path:
    """The four pictures with their masks and a table."""
    lines = ["image,patient,stage,location"]
    for name, mask in TRUTH.items():
        image = root / "images" / f"{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        gray = np.random.default_rng(0).integers(0, 256, mask.shape, np.uint8)
        Image.fromarray(gray).save(image)
        write_mask(root / "masks" / f"{name}.png", mask)
        lines.append(f"{name}.png,patient {name},{STAGES[name] or ''},")
    (root / "images.csv").write_text("\n".join(lines))
    return root


def write_results(out: Path, fold: int | None, names, *, inputs=None, network="daf") -> Path:
    """What `eusdaf segment --probabilities` leaves; probabilities are 0.9 and 0.2."""
    cases = []
    for name in names:
        folder = out / "cases" / name
        folder.mkdir(parents=True, exist_ok=True)
        write_mask(folder / "mask.png", PRED[name])
        write_probability(folder / "probability.png", np.where(PRED[name], 0.9, 0.2))
        path = f"elsewhere/{name}.jpg" if inputs is None else str(inputs[name])
        row = {"id": name, "input": path, "status": "done", "num_frames": 1, "seconds": 1.0}
        cases.append(row | {"part": None})
    run = {"path": str(out.parent / "run"), "step": 3, "fingerprint": network, "fold": fold}
    results = {
        "version": VERSION,
        "manifest": {"commit": "unknown"},
        "network": network,
        "size": GRID,
        "runs": [run],
        "fold": fold,
        "cases": cases,
        "skipped": [],
    }
    (out / "results.json").write_text(json.dumps(results))
    return out


def change_case(pred: Path, name: str, **values) -> None:
    """Change the row of one picture in results.json."""
    path = pred / "results.json"
    results = json.loads(path.read_text())
    next(case for case in results["cases"] if case["id"] == name).update(values)
    path.write_text(json.dumps(results))


def auc(names) -> float:
    """Of the pixels of some pictures: two scores make one point, and the area two trapezoids."""
    hits = sum(int((PRED[n] & TRUTH[n]).sum()) for n in names)
    positive = sum(int(TRUTH[n].sum()) for n in names)
    alarms = sum(int((PRED[n] & ~TRUTH[n]).sum()) for n in names)
    return (1 + hits / positive - alarms / (len(names) * SIDE**2 - positive)) / 2
