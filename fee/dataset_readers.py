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

from core.commands.evaluate import Truth
from core.datasets.image_case import ImageCase, ImageDataset
from core.datasets.images import read_case, read_images
from core.datasets.pancreas import BACKGROUND, NAMES, TUMOR
from core.datasets.pancreas_cases import PUBLIC_PHASE, PancreasCase, PancreasData, read_pancreas
from core.datasets.patients import PHASES, TABLE, Patient, read_patients
from core.errors import InputError
from core.io import nifti
from core.io.dicom.geometry import grid
from core.io.labels import check_ids, require_same_grid
from core.io.paths import Skipped, unique_ids
from core.io.scans import Scan, read_scan
from core.volume import Volume, reorient, same_grid
from fee.config import ScreenConfig
from fee.phases import phases_of_patient, read_phases
from fee.screening import require_one_patient, screen

logger = logging.getLogger(__name__)

NIH_SLICE = r"(PANCREAS_\d{4})-\d+"


class SeriesMask(NamedTuple):
    """Annotated pancreas of one series: 1 pancreas, 2 tumor in it.

    Args:
      path: its file, or the image that it belongs to.
      phase: of its series; None where the series is told by the grid alone.
      read: → ids.
      grid: → where it lies; its voxels need not be read.
    """

    path: Path
    phase: str | None
    read: Callable[[], Volume]
    grid: Callable[[], Volume]


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


class AnnotatedPatient(NamedTuple):
    """What is known about a patient that is diagnosed.

    Args:
      tumor: whether there is one; None where only the mask tells.
      tumor_type: such as PDAC; "" if not told.
      masks: of some or all series.
      is_image: whether this is one image, told by its grid.
    """

    tumor: bool | None
    tumor_type: str
    masks: tuple[SeriesMask, ...]
    is_image: bool


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
    if (data := _volumes(root, patient_pattern, patients, flip)) is not None:
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


def read_truths(root: Path) -> list[Truth[AnnotatedPatient]]:
    """Patients of a cohort, or images of another data set, about whom the truth is known.

    Raises:
      InputError: a folder of slices, nothing that is known, or no patient with a known truth.
    """
    if (root / TABLE).is_file():
        truths = [
            Truth(p.id, p.study, (p.id,), AnnotatedPatient(p.tumor, p.tumor_type, _masks(p), False))
            for p in read_patients(root).patients
            if p.tumor is not None
        ]
    elif (data := _volumes(root, None, None, None)) is not None:
        truths = [
            Truth(case.patient, case.image, (case.id,), _image_truth(case))
            for case in data.cases
            if case.tumor is not None or TUMOR in data.annotated
        ]
    else:
        raise _no_volumes(root)
    if not truths:
        raise InputError("tells of nobody whether there is a tumor", path=root)
    return truths


def paths_by_patient(root: Path) -> dict[str, list[Path]]:
    """What `fee diagnose` takes of each patient of a data set.

    Raises:
      InputError: a folder of slices, or nothing that is known.
    """
    if (root / TABLE).is_file():
        return {p.id: [p.study] for p in read_patients(root).patients}
    if (data := _volumes(root, None, None, None)) is None:
        raise _no_volumes(root)
    paths: dict[str, list[Path]] = defaultdict(list)
    for case in data.cases:
        paths[case.patient].append(case.image)
    return dict(paths)


def match_masks(
    series: Sequence[tuple[str, Volume]], masks: Sequence[SeriesMask]
) -> tuple[list[SeriesMask | InputError | None], list[SeriesMask]]:
    """Mask of each series of a patient: of its phase, and on its grid.

    One mask alone belongs to one series alone, whatever its phase is taken for. Of several series
    of a phase the mask is that of the one on whose grid it lies.

    Args:
      series: phase and grid of each.
      masks: of the patient.

    Returns:
      For each series its mask, None, or why the mask of its phase does not fit; and the masks of
      phases that no series has.
    """
    matched: list[SeriesMask | InputError | None] = [None] * len(series)
    without_series = []
    for mask in masks:
        alone = len(series) == len(masks) == 1
        indices = [i for i, (phase, _) in enumerate(series) if alone or mask.phase in (None, phase)]
        if not indices:
            without_series.append(mask)
            continue
        fitting, reason = _fitting(mask, {i: series[i][1] for i in indices})
        if len(fitting) == 1:
            matched[fitting[0]] = mask
            continue
        for i in fitting or indices:
            if matched[i] is None:
                matched[i] = reason
    return matched, without_series


def _fitting(mask: SeriesMask, grids: dict[int, Volume]) -> tuple[list[int], InputError]:
    """Series on whose grid a mask lies; and what is wrong unless it is exactly one."""
    reason = InputError("lies on the grids of several series of its phase", path=mask.path)
    try:
        where = mask.grid()
    except InputError as error:
        return [], error
    fitting: list[int] = []
    for i, series_grid in grids.items():
        try:
            require_same_grid(series_grid, where, "its series", mask.path)
            fitting.append(i)
        except InputError as error:
            reason = error if not fitting else reason
    exact = [i for i in fitting if same_grid(grids[i], reorient(where, grids[i].direction))]
    return exact or fitting, reason


def grid_of(scan: Scan) -> Volume:
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
        grids = [(one.phase, grid_of(one.scan)) for one in screened.series]
        masks, without_series = match_masks(grids, _masks(patient))
        skipped += [
            Skipped(mask.path, f"no series of the {mask.phase} phase is used", True)
            for mask in without_series
        ]
        ids = unique_ids([f"{patient.id}_{one.phase}" for one in screened.series], instead="series")
        for id_, one, mask in zip(ids, screened.series, masks, strict=True):
            files = (*one.scan.files, mask.path) if isinstance(mask, SeriesMask) else one.scan.files
            read = partial(_read_series, one.scan, mask)
            told = (patient.tumor, patient.tumor_type)
            series.append(AnnotatedSeries(id_, patient.id, files, one.phase, *told, read))
    return AnnotatedData(root, series, skipped)


def _read_series(scan: Scan, mask: SeriesMask | InputError | None) -> tuple[Volume, Volume | None]:
    """HU of a series with its mask; refuses a series whose mask does not fit."""
    if isinstance(mask, InputError):
        raise mask
    volume = read_scan(scan)
    if mask is None:
        return volume, None
    return volume, require_same_grid(volume, mask.read(), scan.path, mask.path)


def _masks(patient: Patient) -> tuple[SeriesMask, ...]:
    """Masks of a patient of a cohort."""
    return tuple(
        SeriesMask(path, phase, partial(_read_mask, path), partial(nifti.read_grid, path))
        for phase, path in patient.masks.items()
    )


def _read_mask(path: Path) -> Volume:
    label = nifti.read_label(path)
    check_ids(label, (BACKGROUND, *NAMES), path)
    return label


def _volumes(
    root: Path, patient_pattern: str | None, patients: Path | None, flip: str | None
) -> PancreasData | None:
    """An nnU-Net, MSD or PANORAMA folder, or NIH Pancreas-CT; None where it is neither."""
    has_volumes = (root / "dataset.json").is_file() or next(root.rglob("PANCREAS_*/"), None)
    if not has_volumes or (root / "images").is_dir():
        return None
    return read_pancreas(root, patient_pattern=patient_pattern, patients=patients, flip=flip)


def _from_volume(case: PancreasCase, labels_tumors: bool) -> AnnotatedSeries:
    return AnnotatedSeries(
        case.id, case.patient, case.files, case.phase, case.tumor, "", case.read, labels_tumors
    )


def _image_truth(case: PancreasCase) -> AnnotatedPatient:
    mask = SeriesMask(case.image, None, case.read_label, case.read_label)
    return AnnotatedPatient(case.tumor, "", (mask,), True)


def _no_volumes(root: Path) -> InputError:
    return InputError(
        "holds no CT volumes",
        path=root,
        hint=f"diagnoses are of CT: expected {TABLE} beside patients/, dataset.json of nnU-Net or "
        "MSD, or PANCREAS_0001 and label0001.nii.gz; slices serve training alone",
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
