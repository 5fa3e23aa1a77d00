"""The layouts of data sets that FEE-DL learns from, all giving the same cases to prepare."""

import hashlib
import logging
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.commands.sources import Source, Sources
from core.datasets.case import ImageCase
from core.datasets.images import read_case, read_images
from core.datasets.label_names import LabelNames
from core.datasets.pancreas import TUMOR
from core.datasets.pancreas_layouts import PUBLIC_PHASE, PancreasCase
from core.datasets.patients import PHASES, TABLE, Patient, read_patients
from core.datasets.prescribed_folds import FOLDS
from core.datasets.series_masks import SeriesMask, match_masks
from core.errors import InputError
from core.io.image.lesion import UnclearMaskError
from core.io.labels import require_same_grid
from core.io.paths import Skipped, unique_ids
from core.io.scans import Scan, read_grid, read_scan
from core.phases.evidence import phases_of_patient, read_phases
from core.screening.patient import require_one_patient, screen
from core.screening.series import Rules, Series, volume_refusal
from core.volume import Volume, canonical
from fee.annotated_patients import read_volumes
from fee.config import PrepareConfig, ScreenConfig
from fee.screening import rules
from fee.slices import make, make_from_pictures, num_bytes

logger = logging.getLogger(__name__)

NIH_SLICE = r"(PANCREAS_\d{4})-\d+"


def read_data(
    root: Path,
    work: Path,
    *,
    screening: ScreenConfig,
    cfg: PrepareConfig,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
) -> Sources:
    """Series of a data set, its layout told by looking.

    Args:
      root: as for `fee.prepare.prepare`.
      work: keeps what screening learned from headers, so that it is not done twice.
      screening: which series are used.
      cfg: how slices are made.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient; of slices, image,patient.
      labels: what the user says that label names mean, in volumes.

    Raises:
      InputError: nothing that is known.
    """
    if (root / TABLE).is_file():
        if patient_pattern is not None or patients is not None:
            note = "%s: --patient-pattern and --patients are not used: %s tells who is who"
            logger.warning(note, root, TABLE)
        return _cohort(root, work, screening, cfg)
    data = read_volumes(
        root, patient_pattern=patient_pattern, patients=patients, flip=cfg.label_flip, labels=labels
    )
    if data is None:
        return _pictures(root, patient_pattern, patients, cfg)
    own_folds = [root / FOLDS] if data.folds and (root / FOLDS).is_file() else []
    folds = [Skipped(path, "FEE-DL parts patients by --split.*") for path in own_folds]
    labels_tumors, wanted = TUMOR in data.annotated, rules(screening)
    sources = [
        Source(
            case.id,
            case.patient,
            case.files,
            partial(make, partial(_read_wanted, case, wanted), cfg, labels_tumors=labels_tumors),
            partial(_num_bytes_of_volume, case, cfg),
            _facts(case.phase, case.tumor),
            data.provenance.get("labels", {}),
        )
        for case in data.cases
    ]
    skipped = [*data.skipped, *folds]
    return Sources(root, sources, skipped, (), data.provenance, data.label_names)


def _num_bytes_of_volume(case: PancreasCase, cfg: PrepareConfig) -> int:
    return num_bytes(canonical(case.read_grid()).shape[0], cfg)


def _read_wanted(case: PancreasCase, wanted: Rules) -> tuple[Volume, Volume]:
    """HU and mask of a case; refuses what `diagnose` would: nothing is learned from such scans."""
    image, label = case.read()
    if reason := volume_refusal(image, wanted):
        raise InputError(reason, path=case.image)
    return image, label


def _facts(phase: str, tumor: bool | None, tumor_type: str = "") -> dict[str, Any]:
    """What tables say of a series: None and "" where they do not tell."""
    return {"phase": phase, "tumor": tumor, "tumor_type": tumor_type}


def _cohort(root: Path, work: Path, screening: ScreenConfig, cfg: PrepareConfig) -> Sources:
    """Every used series of every patient of a table."""
    cohort = read_patients(root)
    table = read_phases(root / PHASES) if (root / PHASES).is_file() else {}
    # Two cohorts may have patients of one name.
    work = work / hashlib.blake2b(os.fsencode(root.resolve()), digest_size=8).hexdigest()
    sources: list[Source] = []
    skipped = list(cohort.skipped)
    for patient in cohort.patients:
        phases = phases_of_patient(table, patient.id)
        screened = screen(patient.study, rules(screening), work=work / patient.id, phases=phases)
        skipped += [
            Skipped(file.path, file.reason, file.bucket == "error")
            for file in screened.files
            if file.bucket != "used"
        ]
        try:
            require_one_patient(screened)
        except InputError as error:
            logger.error("skipped %s: %s", patient.id, error)
            skipped.append(Skipped(patient.study, error.message, True))
            continue
        of_patient, lost = _with_masks(patient, screened.series, cfg)
        sources += of_patient
        skipped += lost
    return Sources(root, sources, skipped)


def _with_masks(
    patient: Patient, series: Sequence[Series], cfg: PrepareConfig
) -> tuple[list[Source], list[Skipped]]:
    """Series of a patient that are used, and the masks that belong to none of them."""
    grids = [(used.phase, read_grid(used.scan)) for used in series]
    masks, without_series = match_masks(grids, patient.masks)
    ids = unique_ids([f"{patient.id}_{used.phase}" for used in series], instead="series")
    sources = [
        Source(
            id_,
            patient.id,
            (*used.scan.files, mask.path) if isinstance(mask, SeriesMask) else used.scan.files,
            partial(make, partial(_read_series, used.scan, mask), cfg, labels_tumors=False),
            partial(num_bytes, grid.shape[0], cfg),
            _facts(used.phase, patient.tumor, patient.tumor_type),
        )
        for id_, used, mask, (_, grid) in zip(ids, series, masks, grids, strict=True)
    ]
    return sources, [
        Skipped(mask.path, f"no series of the {mask.phase} phase is used", True)
        for mask in without_series
    ]


def _read_series(scan: Scan, mask: SeriesMask | InputError | None) -> tuple[Volume, Volume | None]:
    """HU of a series with its mask; refuses a series whose mask does not fit."""
    if isinstance(mask, InputError):
        raise mask
    volume = read_scan(scan)
    if mask is None:
        return volume, None
    return volume, require_same_grid(volume, mask.read(), scan.path, mask.path)


def _pictures(
    root: Path, patient_pattern: str | None, table: Path | None, cfg: PrepareConfig
) -> Sources:
    """Patients of a folder of gray slices and masks, the slices of each in the order of names."""
    try:
        dataset = read_images(root, patient_pattern=patient_pattern, patients=table)
    except InputError as error:
        raise InputError(
            error.message,
            path=error.path,
            hint=f"expected {TABLE} beside patients/, dataset.json of nnU-Net or MSD, "
            "PANCREAS_0001 and label0001.nii.gz, or images/ beside masks/",
        ) from None
    from_nih = all(re.fullmatch(NIH_SLICE, case.id) for case in dataset.cases)
    if from_nih and patient_pattern is None and table is None:
        dataset = read_images(root, patient_pattern=NIH_SLICE)
    patients: dict[str, list[ImageCase]] = defaultdict(list)
    for case in dataset.cases:
        patients[case.patient].append(case)
    ids = unique_ids(list(patients), instead="patient")
    sources = [
        Source(
            id_,
            patient,
            tuple(file for case in cases for file in (case.image, *case.masks)),
            partial(make_from_pictures, partial(_read_pictures, cases, from_nih), cfg),
            partial(num_bytes, len(cases), cfg),
            # All patients of NIH Pancreas-CT are healthy.
            _facts(PUBLIC_PHASE, False) if from_nih else _facts("unknown", None),
        )
        for id_, (patient, cases) in zip(ids, patients.items(), strict=True)
    ]
    return Sources(root, sources, dataset.skipped)


def _read_pictures(
    cases: Sequence[ImageCase], upside_down: bool
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Gray slices and masks; those of NIH are stored upside down."""
    step, pairs = -1 if upside_down else 1, []
    for case in cases:
        try:
            frame, mask = read_case(case)
        except UnclearMaskError as error:  # whose hint is for lesions
            hint = "write the pancreas as 255 and all else as 0"
            raise InputError(error.message, path=error.path, hint=hint) from None
        gray, inside = frame.gray()[::step], mask[::step].astype(np.uint8)
        pairs.append((np.ascontiguousarray(gray), np.ascontiguousarray(inside)))
    return pairs
