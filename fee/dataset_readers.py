"""The layouts of data sets that FEE-DL learns from and is judged on."""

import hashlib
import logging
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from core.datasets.case import ImageCase, ImageDataset
from core.datasets.images import read_case, read_images
from core.datasets.pancreas import TUMOR
from core.datasets.pancreas_cases import PUBLIC_PHASE, PancreasCase
from core.datasets.patients import PHASES, TABLE, Patient, read_patients
from core.errors import InputError
from core.io import nifti
from core.io.dicom.geometry import grid
from core.io.labels import require_same_grid
from core.io.paths import Skipped, unique_ids
from core.io.scans import Scan, read_scan
from core.volume import Volume
from fee.annotated_patients import read_volumes
from fee.config import ScreenConfig
from fee.phases import phases_of_patient, read_phases
from fee.screening import Series, require_one_patient, screen
from fee.series_masks import SeriesMask, masks_of, match_masks

logger = logging.getLogger(__name__)

NIH_SLICE = r"(PANCREAS_\d{4})-\d+"


class AnnotatedSeries(NamedTuple):
    """One series of a data set before it is read.

    Args:
      id: unique in its data set.
      patient: whose it is.
      files: all that it is made from.
      phase: contrast phase.
      tumor: whether a table says that the patient has one; None if it does not tell.
      tumor_type: such as PDAC; "" if not told.
      read: → HU, and the mask on the same grid or None.
      labels_tumors: whether the mask tells, by itself, if there is a tumor.
    """

    id: str
    patient: str
    files: tuple[Path, ...]
    phase: str
    tumor: bool | None
    tumor_type: str
    read: Callable[[], tuple[Volume, Volume | None]]
    labels_tumors: bool = False


class SliceStack(NamedTuple):
    """Gray slices of one patient of a data set that has no volumes."""

    id: str
    patient: str
    files: tuple[Path, ...]
    phase: str
    tumor: bool | None
    read: Callable[[], list[tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]]]
    """→ gray slices and masks."""


class AnnotatedData(NamedTuple):
    """All series of a data set, and what was left out."""

    root: Path
    series: Sequence[AnnotatedSeries | SliceStack]
    skipped: Sequence[Skipped]
    has_folds: bool = False


def read_data(
    root: Path,
    work: Path,
    *,
    screening: ScreenConfig,
    flip: str | None,
    patient_pattern: str | None = None,
    patients: Path | None = None,
) -> AnnotatedData:
    """Series of a data set, its layout told by looking.

    Args:
      root: as for `fee.prepare.prepare`.
      work: keeps what screening learned from headers, so that it is not done twice.
      screening: which series of a cohort are used.
      flip: axes along which NIH's labels run against the CT; None finds out.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient.

    Raises:
      InputError: nothing that is known.
    """
    if (root / TABLE).is_file():
        return _cohort(root, work, screening)
    if (
        data := read_volumes(root, patient_pattern=patient_pattern, patients=patients, flip=flip)
    ) is not None:
        labels_tumors = TUMOR in data.annotated
        series = [_from_volume(case, labels_tumors) for case in data.cases]
        return AnnotatedData(root, series, data.skipped, bool(data.folds))
    try:
        return _slices(root, patient_pattern)
    except InputError as error:
        raise InputError(
            error.message,
            path=error.path,
            hint=f"expected {TABLE} beside patients/, dataset.json of nnU-Net or MSD, "
            "PANCREAS_0001 and label0001.nii.gz, or images/ beside masks/",
        ) from None


def _grid_of(scan: Scan) -> Volume:
    """Where a scan lies, without its voxels."""
    return nifti.read_grid(scan.path) if scan.kind == "nifti" else grid(scan.frames)


def _cohort(root: Path, work: Path, screening: ScreenConfig) -> AnnotatedData:
    """Every used series of every patient of a table."""
    cohort, table = read_patients(root), {}
    if (root / PHASES).is_file():
        table = read_phases(root / PHASES)
    # Two cohorts may have patients of one name.
    work = work / hashlib.blake2b(str(root.resolve()).encode(), digest_size=8).hexdigest()
    series: list[AnnotatedSeries] = []
    skipped = list(cohort.skipped)
    for patient in cohort.patients:
        screened = screen(
            patient.study,
            screening,
            work=work / patient.id,
            phases=phases_of_patient(table, patient.id),
        )
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
        of_patient, without_series = _with_masks(patient, screened.series)
        series += of_patient
        skipped += [
            Skipped(mask.path, f"no series of the {mask.phase} phase is used", True)
            for mask in without_series
        ]
    return AnnotatedData(root, series, skipped)


def _with_masks(
    patient: Patient, series: Sequence[Series]
) -> tuple[list[AnnotatedSeries], list[SeriesMask]]:
    """Series of a patient that are used, and the masks that belong to none of them."""
    grids = [(used.phase, _grid_of(used.scan)) for used in series]
    masks, without_series = match_masks(grids, masks_of(patient))
    ids = unique_ids([f"{patient.id}_{used.phase}" for used in series], instead="series")
    annotated = [
        AnnotatedSeries(
            id_,
            patient.id,
            (*used.scan.files, mask.path) if isinstance(mask, SeriesMask) else used.scan.files,
            used.phase,
            patient.tumor,
            patient.tumor_type,
            partial(_read_series, used.scan, mask),
        )
        for id_, used, mask in zip(ids, series, masks, strict=True)
    ]
    return annotated, without_series


def _read_series(scan: Scan, mask: SeriesMask | InputError | None) -> tuple[Volume, Volume | None]:
    """HU of a series with its mask; refuses a series whose mask does not fit."""
    if isinstance(mask, InputError):
        raise mask
    volume = read_scan(scan)
    if mask is None:
        return volume, None
    return volume, require_same_grid(volume, mask.read(), scan.path, mask.path)


def _from_volume(case: PancreasCase, labels_tumors: bool) -> AnnotatedSeries:
    return AnnotatedSeries(
        case.id, case.patient, case.files, case.phase, case.tumor, "", case.read, labels_tumors
    )


def _slices(root: Path, patient_pattern: str | None) -> AnnotatedData:
    """Patients of a folder of gray slices and masks, the slices of each in the order of names."""
    dataset: ImageDataset = read_images(root, patient_pattern=patient_pattern)
    from_nih = all(re.fullmatch(NIH_SLICE, case.id) for case in dataset.cases)
    if from_nih:
        dataset = read_images(root, patient_pattern=NIH_SLICE)
    patients: dict[str, list[ImageCase]] = defaultdict(list)
    for case in dataset.cases:
        patients[case.patient].append(case)
    ids = unique_ids(list(patients), instead="patient")
    stacks = [
        SliceStack(
            id_,
            cases[0].patient,
            tuple(file for case in cases for file in (case.image, *case.masks)),
            PUBLIC_PHASE if from_nih else "unknown",
            False if from_nih else None,  # all patients of NIH Pancreas-CT are healthy
            partial(_read_slices, cases, upside_down=from_nih),
        )
        for id_, cases in zip(ids, patients.values(), strict=True)
    ]
    return AnnotatedData(root, stacks, dataset.skipped)


def _read_slices(
    cases: Sequence[ImageCase], *, upside_down: bool
) -> list[tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]]:
    """Gray slices and masks; those of NIH are stored upside down."""
    slices = []
    for case in cases:
        frame, mask = read_case(case)
        step = -1 if upside_down else 1
        gray, inside = frame.gray()[::step], mask.array[::step].astype(np.uint8)
        slices.append((np.ascontiguousarray(gray), np.ascontiguousarray(inside)))
    return slices
