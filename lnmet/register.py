"""Registering the arterial to the venous phase, of single patients and of whole data sets."""

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic, cli
from core.commands import results
from core.commands.predict import Answer, Job, predict
from core.commands.shards import WHOLE, shard_of
from core.commands.sources import digest
from core.config import fingerprint
from core.datasets.channels import Phase
from core.errors import InputError
from core.io import nifti
from core.io.paths import Skipped, find_all
from core.io.scans import read_scan
from core.json_io import read_json, write_json
from core.report.cases import CASE_PAGE
from core.screening.pairs import Pair, find_pairs, pair_of
from core.volume import Volume, canonical
from lnmet.phases import frame_of
from lnmet.predictions import Predictions, read_predictions
from lnmet.raw import channels, copy_splits, describe, labels_written
from lnmet.registration.config import RegistrationConfig
from lnmet.registration.phases import register_phases
from lnmet.registration.volumes import AIR_HU, warp_label_volume, warp_volume
from lnmet.registration_page import before_and_after, pair_page, registration_page

COPIED = ("splits_final.json", "cases.json")
PHASES: tuple[Phase, ...] = ("arterial", "venous")


def register(
    inputs: cli.Paths = (),
    registration: RegistrationConfig = RegistrationConfig(),  # noqa: B008 - frozen
    *,
    out: Path,
    arterial: Path | None = None,
    venous: Path | None = None,
    labels: Path | None = None,
    shard: str | None = None,
) -> int:
    """Register the arterial to the venous phase; of a data set, write one that is registered.

    Labels that a data set has itself are of the venous phase, and stay as they are.

    Args:
      inputs: a data set (nnU-Net raw), or folders with CASE_0000 (arterial) and CASE_0001 (venous).
      registration: method and its numbers.
      out: gets imagesTr/ with both phases on the venous grid, results.json with the quality of each
        registration, report.html and cases/<id>/report.html, both phases side by side to scroll
        through; of a data set also its labels and dataset.json.
      arterial: scan of one patient, NIfTI file or DICOM folder, instead of inputs.
      venous: its venous scan.
      labels: the --out of `lnmet segment` in the arterial phase, whose label maps are registered
        too, and are the labels of the new data set in place of its own.
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.

    Returns:
      0 if every pair was registered, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to register, a data set of another layout, or labels of another phase.
    """
    taken, moving = shard_of(shard), None if labels is None else _arterial(labels)
    pairs, skipped, data_set = _pairs(inputs, arterial, venous)
    status = predict(
        taken.of(pairs),
        partial(_registered, registration, moving, out),
        out,
        Job(
            command="lnmet register",
            runs=[],
            choices={},
            options={"registration": fingerprint(registration), "labels": labels},
            facts={"method": registration.method},
        ),
        skipped=skipped,
        devices=[],
        page=registration_page,
        paths=lambda pair: _paths(pair, moving),
        summary=lambda row: f"distance of descriptors {row['mind_distance_after']:.4f}",
        shard=taken,
    )
    if taken != WHOLE:
        return status
    if moving is not None:
        _describe(out, moving, data_set)
    elif data_set is not None:
        _copy_labels(data_set, out)
    return status


def _arterial(folder: Path) -> Predictions:
    predictions = read_predictions(folder)
    if predictions.phases != {"arterial"}:
        raise InputError(
            "holds no label maps of the arterial phase alone",
            path=folder,
            hint="those of the venous phase need no registration: lnmet pseudo",
        )
    return predictions


def _paths(pair: Pair, labels: Predictions | None) -> list[Path]:
    """Files and folders that a registration depends on."""
    scans = [scan.path for scan in pair.scans.values()]
    return scans if labels is None else [*scans, labels.path(pair.id)]


def _pairs(
    inputs: Sequence[Path], arterial: Path | None, venous: Path | None
) -> tuple[list[Pair], list[Skipped], Path | None]:
    if (arterial is None) is not (venous is None) or (venous is None) is not bool(inputs):
        raise InputError("give a data set or folders, or --arterial and --venous of one patient")
    if venous is not None:
        return [pair_of(arterial, venous)], [], None
    if len(inputs) == 1 and (inputs[0] / "dataset.json").is_file():
        pairs, skipped = find_pairs(inputs[0])
        return pairs, skipped, inputs[0]
    return *find_all(inputs, find_pairs), None


def _registered(
    cfg: RegistrationConfig, labels: Predictions | None, out: Path, pair: Pair, folder: Path
) -> Answer:
    if absent := {"arterial", "venous"} - pair.scans.keys():
        raise InputError(f"has no {absent.pop()} phase", path=pair.path)
    venous, arterial = (read_scan(pair.scans[phase]) for phase in ("venous", "arterial"))
    label = labels and labels.read(pair.id, arterial, pair.scans["arterial"].path)
    frames = {f"{phase}_frame": frame_of(scan) for phase, scan in pair.scans.items()}
    registration = register_phases(venous, arterial, cfg, **frames)
    nifti.write(out / "imagesTr" / f"{pair.id}_0000.nii.gz", registration.warped)
    nifti.write(out / "imagesTr" / f"{pair.id}_0001.nii.gz", venous)
    if labels and label:
        warped = warp_label_volume(label, venous, registration.field)
        ids = warped.with_array(labels_written(labels.annotated)(warped.array))
        nifti.write(out / "labelsTr" / f"{pair.id}.nii.gz", ids)
    atomic.write_bytes(folder / "overlay.png", _picture(venous, arterial, registration.warped))
    row = {
        "decision": "registered",
        **registration.quality,
        "note": "; ".join((*pair.notes, *registration.notes)),
        "page": CASE_PAGE,
    }
    scans = {"venous phase": venous, "arterial phase, registered": registration.warped}
    atomic.write_text(folder / CASE_PAGE, pair_page(pair.id, scans, row))
    return Answer(row, [digest(canonical(venous).array)])


def _picture(venous: Volume, arterial: Volume, warped: Volume) -> bytes:
    unmoved = np.zeros((3, *venous.shape), np.float32)
    before = warp_volume(arterial, venous, unmoved, fill=AIR_HU)
    return before_and_after(*map(canonical, (venous, before, warped)))


def _describe(out: Path, labels: Predictions, data_set: Path | None) -> None:
    """Description of a data set whose labels were registered, and the folds that it had."""
    cases = results.read(out, "lnmet register")["cases"]
    done = [case["id"] for case in cases if case["status"] == "done"]
    describe(out, PHASES, labels_written(labels.annotated).ids, len(done))
    if data_set is not None:
        copy_splits(data_set, out, done)


def _copy_labels(data_set: Path, out: Path) -> None:
    """Labels, folds and description of a data set, whose channels are registered phases now."""
    if (data_set / "labelsTr").is_dir():
        shutil.copytree(data_set / "labelsTr", out / "labelsTr", dirs_exist_ok=True)
    for name in COPIED:
        if (data_set / name).is_file():
            shutil.copyfile(data_set / name, out / name)
    description: Mapping[str, Any] = read_json(data_set / "dataset.json")
    named = {k: v for k, v in description.items() if k not in ("modality", "channel_names")}
    write_json(out / "dataset.json", {**named, "channel_names": channels(PHASES)})
