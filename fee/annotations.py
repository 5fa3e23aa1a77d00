"""What is known about the patients of a data set, and whose series each mask belongs to."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from core.commands.evaluate import Truth
from core.datasets.pancreas import BACKGROUND, NAMES, TUMOR
from core.datasets.pancreas_cases import PancreasCase, PancreasData, read_pancreas
from core.datasets.patients import TABLE, Patient, read_patients
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.volume import Volume, reorient, same_grid


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


def read_truths(root: Path) -> list[Truth[AnnotatedPatient]]:
    """Patients of a cohort, or images of another data set, about whom the truth is known.

    Raises:
      InputError: a folder of slices, nothing that is known, or no patient with a known truth.
    """
    if (root / TABLE).is_file():
        truths = [
            Truth(
                p.id, p.study, (p.id,), AnnotatedPatient(p.tumor, p.tumor_type, masks_of(p), False)
            )
            for p in read_patients(root).patients
            if p.tumor is not None
        ]
    elif (data := read_volumes(root)) is not None:
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
    if (data := read_volumes(root)) is None:
        raise _no_volumes(root)
    paths: dict[str, list[Path]] = defaultdict(list)
    for case in data.cases:
        paths[case.patient].append(case.image)
    return dict(paths)


def read_volumes(
    root: Path,
    *,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    flip: str | None = None,
) -> PancreasData | None:
    """An nnU-Net, MSD or PANORAMA folder, or NIH Pancreas-CT; None where it is neither."""
    has_volumes = (root / "dataset.json").is_file() or next(root.rglob("PANCREAS_*/"), None)
    if not has_volumes or (root / "images").is_dir():
        return None
    return read_pancreas(root, patient_pattern=patient_pattern, patients=patients, flip=flip)


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


def masks_of(patient: Patient) -> tuple[SeriesMask, ...]:
    """Masks of a patient of a cohort."""
    return tuple(
        SeriesMask(path, phase, partial(_read_mask, path), partial(nifti.read_grid, path))
        for phase, path in patient.masks.items()
    )


def _read_mask(path: Path) -> Volume:
    label = nifti.read_label(path)
    check_ids(label, (BACKGROUND, *NAMES), path)
    return label


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


def _fitting(mask: SeriesMask, grids: Mapping[int, Volume]) -> tuple[list[int], InputError]:
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
