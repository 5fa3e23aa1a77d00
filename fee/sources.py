"""The layouts of data sets that FEE-DL learns from, all giving the same record of a series."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from core.datasets import nih, panorama, read_dataset
from core.datasets.case import Case as Examination
from core.datasets.case import Dataset
from core.datasets.image_case import ImageCase
from core.datasets.images import read_case, read_images
from core.datasets.pancreas import BACKGROUND, NAMES, PANCREAS, TUMOR, lookup
from core.datasets.patients import PHASES, TABLE, Patient, read_patients
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.io.paths import Skipped, unique_ids
from core.io.scans import read_scan
from core.preprocess.resize import resize_gray, resize_mask
from fee.config import PrepareConfig, ScreenConfig
from fee.screening import Series, screen
from fee.slices import to_mask_slices, to_slices

PUBLIC_PHASE = "venous"
"""Of NIH Pancreas-CT, MSD and PANORAMA: about 70 s after the injection."""
MSD_NAME = "Pancreas"
"""Of Task07 of the Medical Segmentation Decathlon, as its dataset.json has it."""
NIH_SLICE = r"(PANCREAS_\d{4})-\d+"

Mask = UInt8[np.ndarray, "d s s"]


class Stack(NamedTuple):
    """Slices of one series, ready to be stored."""

    image: Mask
    """Gray."""
    mask: Mask | None
    """1 pancreas, 2 tumor in it; None if not known."""
    tumor: bool | None
    """Whether the patient has one; None if not known."""


class Source(NamedTuple):
    """One series of a data set before it is read."""

    id: str
    patient: str
    phase: str
    tumor_type: str
    files: tuple[Path, ...]
    read: Callable[[], Stack]


class Sources(NamedTuple):
    """All series of a data set, and what was left out."""

    sources: Sequence[Source]
    skipped: Sequence[Skipped]


def find_sources(data: Path, work: Path, *, screening: ScreenConfig, cfg: PrepareConfig) -> Sources:
    """Series of a data set, its layout told by looking.

    Args:
      data: as for `prepare`.
      work: keeps what screening learned from headers, so that it is not done twice.
      screening: which series of a cohort are used.
      cfg: how slices are made.

    Raises:
      InputError: nothing that is known.
    """
    if (data / TABLE).is_file():
        return _cohort(data, work, screening, cfg)
    if (data / "dataset.json").is_file():
        return _volumes(data, cfg)
    if data.is_dir() and (patients := nih.find_nih(data)):
        return Sources([_nih(case, cfg) for case in patients.cases], patients.skipped)
    try:
        return _slices(data, cfg)
    except InputError as error:
        raise InputError(
            error.message,
            path=error.path,
            hint=f"expected {TABLE} beside patients/, dataset.json of nnU-Net or MSD, "
            "PANCREAS_0001 and label0001.nii.gz, or images/ beside masks/",
        ) from None


def _cohort(data: Path, work: Path, screening: ScreenConfig, cfg: PrepareConfig) -> Sources:
    """Every used series of every patient of a table."""
    cohort, phases = read_patients(data), data / PHASES
    sources, skipped = [], list(cohort.skipped)
    for patient in cohort.patients:
        found = screen(
            patient.study,
            screening,
            work=work / patient.id,
            phases_csv=phases if phases.is_file() else None,
        )
        skipped += [
            Skipped(file.path, file.reason, file.bucket == "error")
            for file in found.files
            if file.bucket != "used"
        ]
        masks = _masks_of(patient, found.series)
        ids = unique_ids([f"{patient.id}_{one.phase}" for one in found.series], instead="series")
        for id_, one in zip(ids, found.series, strict=True):
            sources.append(_series(id_, one, masks.get(one.phase), patient, cfg))
    return Sources(sources, skipped)


def _masks_of(patient: Patient, series: Sequence[Series]) -> dict[str, Path]:
    """Masks by phase; one alone belongs to a series alone, whatever its phase is taken for."""
    if len(series) == len(patient.masks) == 1:
        return {series[0].phase: next(iter(patient.masks.values()))}
    return dict(patient.masks)


def _series(
    id_: str, one: Series, mask: Path | None, patient: Patient, cfg: PrepareConfig
) -> Source:
    def read() -> Stack:
        volume = read_scan(one.scan)
        if mask is None:
            return Stack(to_slices(volume, cfg), None, patient.tumor)
        label = nifti.read_label(mask)
        check_ids(label, (BACKGROUND, *NAMES), mask)
        label = require_same_grid(volume, label, one.scan.path, mask)
        return Stack(to_slices(volume, cfg), to_mask_slices(label, cfg), patient.tumor)

    files = one.scan.files if mask is None else (*one.scan.files, mask)
    return Source(id_, patient.id, one.phase, patient.tumor_type, files, read)


def _volumes(data: Path, cfg: PrepareConfig) -> Sources:
    """Every case of an nnU-Net or MSD folder; of PANORAMA with its patients and diagnoses."""
    dataset, diagnoses, phase = read_dataset(data), {}, "unknown"
    lookup(dataset.label_ids, data, needed=(PANCREAS,))  # before any work
    if panorama.is_panorama(dataset):
        dataset, diagnoses = panorama.with_patients(dataset), panorama.read_diagnoses(data)
    if diagnoses or dataset.name == MSD_NAME:
        phase = PUBLIC_PHASE
    sources = [_volume(case, dataset, diagnoses.get(case.id), phase, cfg) for case in dataset.cases]
    return Sources(sources, dataset.skipped)


def _volume(
    case: Examination, dataset: Dataset, tumor: bool | None, phase: str, cfg: PrepareConfig
) -> Source:
    """One case; where nobody tells, a tumor that is drawn is one."""

    def read() -> Stack:
        path = case.images[0]
        image, label = nifti.read(path), nifti.read_label(case.label)
        check_ids(label, dataset.label_ids.values(), case.label)
        label = require_same_grid(image, label, path, case.label)
        ids = lookup(dataset.label_ids, dataset.root, needed=(PANCREAS,))
        mask = to_mask_slices(label.with_array(ids[label.array]), cfg)
        drawn = bool((mask == TUMOR).any()) if TUMOR in ids else None
        return Stack(to_slices(image, cfg), mask, drawn if tumor is None else tumor)

    # The description too: another map of label names makes other masks.
    files = (case.images[0], case.label, dataset.root / "dataset.json")
    return Source(case.id, case.patient, phase, "", files, read)


def _nih(case: nih.NihCase, cfg: PrepareConfig) -> Source:
    """One healthy patient."""
    flip = {"auto": None, "none": ""}.get(cfg.label_flip, cfg.label_flip)

    def read() -> Stack:
        image, label = nih.read_nih_case(case, flip=flip)
        return Stack(to_slices(image, cfg), to_mask_slices(label, cfg), False)

    files = (*sorted(p for p in case.folder.rglob("*") if p.is_file()), case.label)
    return Source(case.patient, case.patient, PUBLIC_PHASE, "", files, read)


def _slices(data: Path, cfg: PrepareConfig) -> Sources:
    """Patients of a folder of gray slices and masks, the slices of each in the order of names."""
    dataset = read_images(data)
    from_nih = all(re.fullmatch(NIH_SLICE, case.id) for case in dataset.cases)
    if from_nih:
        dataset = read_images(data, patient_pattern=NIH_SLICE)
    patients = defaultdict(list)
    for case in dataset.cases:
        patients[case.patient].append(case)
    ids = unique_ids(list(patients), instead="patient")
    sources = [
        _stack(id_, members, from_nih, cfg)
        for id_, members in zip(ids, patients.values(), strict=True)
    ]
    return Sources(sources, dataset.skipped)


def _stack(id_: str, cases: Sequence[ImageCase], from_nih: bool, cfg: PrepareConfig) -> Source:
    """Slices of one patient; those of NIH are healthy, and stored upside down."""
    size = (cfg.size, cfg.size)

    def one(case: ImageCase) -> tuple[np.ndarray, np.ndarray]:
        frame, mask = read_case(case)
        gray, array = frame.gray(), mask.array
        if from_nih:
            gray, array = np.ascontiguousarray(gray[::-1]), np.ascontiguousarray(array[::-1])
        return resize_gray(gray, size), resize_mask(array, size).astype(np.uint8)

    def read() -> Stack:
        images, masks = zip(*map(one, cases), strict=True)
        return Stack(np.stack(images), np.stack(masks), False if from_nih else None)

    files = tuple(file for case in cases for file in (case.image, *case.masks))
    phase = PUBLIC_PHASE if from_nih else "unknown"
    return Source(id_, cases[0].patient, phase, "", files, read)
