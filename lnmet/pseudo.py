"""Data sets with predicted labels: what a network said, to learn from (Sec. IV-B, IV-C)."""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from core import atomic, cli
from core.datasets.channels import Phase
from core.errors import InputError
from core.io import nifti
from core.io.paths import Skipped
from core.io.scans import Scan, read_grid, read_scan
from core.screening.pairs import Pair, find_pairs
from core.volume import Volume, same_grid
from lnmet.annotation import Annotation, read_annotation
from lnmet.labels import (
    BACKGROUND,
    IGNORE,
    METASTATIC,
    NAMES,
    NODE,
    PANCREAS,
    PDAC,
)
from lnmet.predictions import Predictions, read_predictions
from lnmet.raw import Written, copy_splits, describe, labels_written

logger = logging.getLogger(__name__)

NODES = frozenset({NODE, METASTATIC})


def pseudo(data: cli.OnePath, *, pred: Path, out: Path) -> int:
    """Write a data set whose labels are predicted, to train on; its own annotation comes first.

    It has the phases that the networks of the prediction saw, whose voxels the labels are of. Where
    the data set is annotated itself, predictions add the classes that it does not name. Predictions
    in the arterial phase alone leave the annotation of a data set of two phases out: that is of the
    venous one.

    Args:
      data: what was segmented: a data set (nnU-Net raw, MSD), annotated or not, or a folder of
        scans.
      pred: the --out of `lnmet segment` for it.
      out: new data set (nnU-Net raw); its images are hard links where the disk allows it.

    Returns:
      0 if every examination has a label, 1 if some are left out; the reason of each is logged.

    Raises:
      InputError: nothing to write, a folder that is not new, or no prediction.
    """
    predictions = read_predictions(pred)
    phases = sorted(predictions.phases)
    found, skipped = find_pairs(data)
    pairs, own = [pair.seen_in(phases) for pair in found], read_annotation(data)
    if own.cases and phases == ["arterial"] and any("venous" in pair.scans for pair in pairs):
        logger.warning("%s: its labels are of the venous phase, and left out", data)
        own = Annotation()
    ignore = own.ids is not None and IGNORE in own.ids.table
    written = labels_written(predictions.annotated | own.annotated, ignore=ignore)
    left_out = [file for file in skipped if file.is_broken]
    done: list[str] = []
    with atomic.aside(atomic.new_folder(out)) as folder:
        for pair in pairs:
            try:
                label = _label(pair, predictions, own)
                _write(folder, pair, phases, label, written)
                done.append(pair.id)
            except InputError as error:
                left_out.append(Skipped(Path(error.path or pair.path), error.message, True))
        _require_some(done, left_out, pred)
        describe(folder, phases, written.ids, len(done))
        if own.cases:
            copy_splits(data, folder, done)
    for file in left_out:
        logger.error("left out %s: %s", file.path, file.reason)
    logger.info("%s: %d cases with %s", out, len(done), ", ".join([*written.ids][1:]))
    return int(bool(left_out))


def _label(pair: Pair, predictions: Predictions, own: Annotation) -> Volume:
    """Label map of an examination, on the grid of its reference.

    Raises:
      InputError: a phase, the prediction or a class is missing, or the grids differ.
    """
    if absent := predictions.phases - pair.scans.keys():
        raise InputError(f"has no {min(absent)} phase", path=pair.path)
    grid = read_grid(pair.reference)
    for phase in predictions.phases:
        if not same_grid(grid, read_grid(pair.scans[phase])):
            raise InputError(
                "is not on the grid of the venous phase",
                path=pair.scans[phase].path,
                hint="run lnmet register on the data set first",
            )
    predicted = predictions.read(pair.id, grid, pair.path)
    case = own.case_of(pair)
    if case is not None:
        annotated = own.read(case, grid, pair.path)
        return grid.with_array(merged(annotated, predicted.array, own.annotated))
    if untold := _known(own.annotated) - _known(predictions.annotated):
        names = ", ".join(NAMES[id_] for id_ in sorted(untold))
        raise InputError(f"has no label, and {names} is not predicted", path=pair.path)
    return predicted


def merged(
    own: UInt8[np.ndarray, "d h w"],
    predicted: UInt8[np.ndarray, "d h w"],
    annotated: frozenset[int],
) -> UInt8[np.ndarray, "d h w"]:
    """Annotation, with predictions of the classes that it does not name around it.

    A predicted tumor also replaces what is annotated as pancreas, of which it is a part.

    Args:
      own: annotated ids of `lnmet.labels`.
      predicted: likewise.
      annotated: ids that the annotation tells of.
    """
    is_new = ~np.isin(predicted, [BACKGROUND, *_known(annotated)])
    is_free = (own == BACKGROUND) | ((own == PANCREAS) & (predicted == PDAC))
    return np.where(is_new & is_free, predicted, own)


def _known(annotated: frozenset[int]) -> frozenset[int]:
    """Ids that an annotation tells of; whoever marks nodes of one status marks nodes."""
    return annotated | NODES if annotated & NODES else annotated


def _write(
    root: Path, pair: Pair, phases: Sequence[Phase], label: Volume, written: Written
) -> None:
    for number, phase in enumerate(phases):
        _link(pair.scans[phase], root / "imagesTr" / f"{pair.id}_{number:04d}.nii.gz")
    ids = label.with_array(written(label.array))
    nifti.write(root / "labelsTr" / f"{pair.id}.nii.gz", ids)


def _link(scan: Scan, target: Path) -> None:
    """The very file of a scan, or a copy: on another disk, or of another kind."""
    if scan.kind != "nifti" or not scan.path.name.endswith(".nii.gz"):
        nifti.write(target, read_scan(scan))
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(scan.path.resolve(), target)
    except OSError:
        shutil.copyfile(scan.path, target)


def _require_some(done: Sequence[str], left_out: Sequence[Skipped], pred: Path) -> None:
    if not done:
        reason = left_out[0].reason if left_out else "there is none"
        raise InputError("no examination has a label", path=pred, hint=reason)
