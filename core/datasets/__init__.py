"""One small file per public layout, all giving the same records. Host room.

Volumes come as `Case` from `read_dataset`, images as `ImageCase` from `read_images`.
"""

from dataclasses import replace
from pathlib import Path

from core.datasets.case import Case, Dataset, Fold, ImageCase, ImageDataset, patients_of
from core.datasets.images import read_case, read_images
from core.datasets.msd import read_msd
from core.datasets.nnunet import read_nnunet
from core.errors import InputError
from core.json_io import read_json

__all__ = [
    "Case",
    "Dataset",
    "Fold",
    "ImageCase",
    "ImageDataset",
    "read_case",
    "read_dataset",
    "read_images",
]


def read_dataset(
    root: str | Path, *, patient_pattern: str | None = None, patients: Path | None = None
) -> Dataset:
    r"""Read a data set of any known layout, told apart by looking at it.

    Args:
      root: the folder that holds `dataset.json`.
      patient_pattern: regular expression whose first group is the patient in a case id, such as
        `(\w+)_\d+`. Without it and a table, studies of PANORAMA belong to its patients, and any
        other case is its own patient.
      patients: CSV or .xlsx table with the columns case and patient.

    Returns:
      At least one labelled case, and everything that was left out with its reason.

    Raises:
      InputError: the folder is missing, of no known layout, or without a usable case.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError("no such folder", path=root)
    path = root / "dataset.json"
    if not path.is_file():
        inside = sorted(p.parent.name for p in root.glob("*/dataset.json"))
        hint = f"did you mean {inside[0]} in it?" if inside else "expected nnU-Net or MSD layout"
        raise InputError("there is no dataset.json", path=root, hint=hint)
    description = read_json(path)
    if not isinstance(description, dict):
        raise InputError("expected an object with labels and channels", path=path)
    # An nnU-Net v2 data set always has one of these keys; v1 and MSD list their training files.
    if "file_ending" in description or "dataset" in description:
        dataset = read_nnunet(root)
    elif isinstance(description.get("training"), list):
        dataset = read_msd(root)
    else:
        raise InputError('has neither "file_ending" (nnU-Net) nor "training" (MSD)', path=path)
    if not dataset.cases:
        reasons = [f"{s.path.name}: {s.reason}" for s in dataset.skipped[:1]]
        raise InputError("no usable case", path=root, hint=" ".join(reasons) or "imagesTr is empty")
    ids = [case.id for case in dataset.cases]
    patient = patients_of(ids, pattern=patient_pattern, table=patients)
    cases = (replace(case, patient=patient[case.id]) for case in dataset.cases)
    return replace(dataset, cases=tuple(cases))
