"""Patients of a data set about whom the truth is known, and where their images are."""

from collections import defaultdict
from pathlib import Path

from core.commands.evaluate import Truth
from core.datasets.label_names import LabelNames
from core.datasets.pancreas import TUMOR
from core.datasets.pancreas_cases import read_pancreas
from core.datasets.pancreas_layouts import PancreasCase, PancreasData
from core.datasets.patients import TABLE, Patient, read_patients
from core.datasets.read import is_dataset
from core.datasets.series_masks import SeriesMask
from core.errors import InputError


def read_truths(root: Path, labels: LabelNames) -> list[Truth[Patient]]:
    """Patients of a cohort, or images of another data set, about whom the truth is known.

    Of an image, the one mask has no phase, and tells of a tumor where no table does.

    Args:
      root: of the data set.
      labels: what the user says that label names of volumes mean.

    Raises:
      InputError: a folder of slices, nothing that is known, or no patient with a known truth.
    """
    if (root / TABLE).is_file():
        known = [p for p in read_patients(root).patients if p.tumor is not None]
        truths = [Truth(p.id, p.study, (p.id,), p) for p in known]
    elif (data := read_volumes(root, labels=labels)) is not None:
        truths = [
            Truth(case.patient, case.image, (case.id,), _patient(case))
            for case in data.cases
            if case.tumor is not None or TUMOR in data.annotated
        ]
    else:
        raise _no_volumes(root)
    if not truths:
        raise InputError("tells of nobody whether there is a tumor", path=root)
    return truths


def paths_by_patient(root: Path, labels: LabelNames) -> dict[str, list[Path]]:
    """What `fee diagnose` takes of each patient of a data set.

    Args:
      root: of the data set.
      labels: what the user says that label names of volumes mean.

    Raises:
      InputError: a folder of slices, or nothing that is known.
    """
    if (root / TABLE).is_file():
        return {p.id: [p.study] for p in read_patients(root).patients}
    if (data := read_volumes(root, labels=labels)) is None:
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
    flip: str = "auto",
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
) -> PancreasData | None:
    """A data set of volumes, as `read_pancreas` reads it; None of anything else."""
    has_volumes = is_dataset(root) or next(root.rglob("PANCREAS_*/"), None)
    if not has_volumes or (root / "images").is_dir():
        return None
    return read_pancreas(
        root, patient_pattern=patient_pattern, patients=patients, flip=flip, labels=labels
    )


def _patient(case: PancreasCase) -> Patient:
    mask = SeriesMask(case.image, None, case.read_label, case.read_label)
    return Patient(case.patient, case.image, case.tumor, "", (mask,))


def _no_volumes(root: Path) -> InputError:
    return InputError(
        "holds no CT volumes",
        path=root,
        hint=f"diagnoses are of CT: expected {TABLE} beside patients/, dataset.json of nnU-Net or "
        "MSD, or PANCREAS_0001 and label0001.nii.gz; slices serve training alone",
    )
