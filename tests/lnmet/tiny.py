"""Networks and data sets as small as they can be, for tests of whole commands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.commands import results
from core.io import nifti
from core.train.config import RunConfig
from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.config import PrepareConfig
from lnmet.demo import write_phantoms
from lnmet.recipes import RECIPES

SPACING_MM = 8.0


def tiny(recipe: str, *, steps: int = 2) -> Any:
    """A recipe for phantoms of 8 mm, of two channels a stage."""
    cfg: Any = RECIPES[recipe]
    return replace(
        cfg,
        run=RunConfig(steps=steps, log_every=1, checkpoint_every=1),
        prepare=PrepareConfig(spacing_mm=(SPACING_MM, SPACING_MM, SPACING_MM)),
        data=replace(cfg.data, patch=(16, 16, 16), batch=2),
        model=replace(cfg.model, features=(2, 2, 2, 2)),
        split=replace(cfg.split, num_folds=2),
    )


def phantoms(out: Path, *, num_cases: int = 2, seed: int = 0, breath_mm: float = 0.0) -> Path:
    """A labelled data set of two phases, each patient with a tumor."""
    write_phantoms(out, num_cases=num_cases, seed=seed, spacing_mm=SPACING_MM, breath_mm=breath_mm)
    return out


def volume(array: np.ndarray, *, z_mm: float = 0.0) -> Volume:
    """Voxels of 2 × 1 × 1 mm."""
    return Volume(array, (2.0, 1.0, 1.0), (0.0, 0.0, z_mm), CANONICAL_DIRECTION)


def write_raw(
    root: Path,
    images: Mapping[str, Sequence[Volume]],
    labels: Mapping[str, Volume],
    ids: Mapping[str, int],
    channels: Sequence[str] = ("CT", "CT"),
) -> Path:
    """A data set of nnU-Net, some of whose cases have labels."""
    for case, volumes in images.items():
        for channel, image in enumerate(volumes):
            nifti.write(root / "imagesTr" / f"{case}_{channel:04d}.nii.gz", image)
    for case, label in labels.items():
        nifti.write(root / "labelsTr" / f"{case}.nii.gz", label)
    described = {
        "channel_names": {str(c): name for c, name in enumerate(channels)},
        "labels": {"background": 0, **ids},
        "numTraining": len(labels),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(described))
    return root


def write_predictions(
    out: Path,
    labels: Mapping[str, Volume | None],
    *,
    classes: Sequence[str] = ("PDAC",),
    phases: Sequence[str] = ("arterial",),
) -> Path:
    """What `lnmet segment` leaves; a case without a label failed."""
    rows = []
    for case, label in labels.items():
        rows.append({"id": case, "status": "failed" if label is None else "done"})
        if label is not None:
            nifti.write(out / "cases" / case / "segmentation.nii.gz", label)
    results.write(out, rows, skipped=[], provenance={}, classes=classes, phases=phases)
    return out
