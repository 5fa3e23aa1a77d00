"""A data set of volumes of any public layout, told apart by looking at it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from core.datasets.abdomenatlas import is_abdomenatlas, read_abdomenatlas
from core.datasets.case import Dataset, patients_of
from core.datasets.msd import read_msd
from core.datasets.nnunet import read_nnunet
from core.datasets.panorama import is_checkout, read_panorama
from core.datasets.pants import is_pants, read_pants
from core.datasets.prescribed_folds import read_folds
from core.datasets.totalsegmentator import is_totalsegmentator, read_totalsegmentator
from core.errors import InputError
from core.json_io import read_json


def read_dataset(
    root: str | Path, *, patient_pattern: str | None = None, patients: Path | None = None
) -> Dataset:
    r"""Read a data set of any known layout, told apart by looking at it.

    Args:
      root: the folder that holds `dataset.json`, or that a public data set is unpacked into.
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
    read = _reader_of(root)
    if read is None:
        expected = "expected one of nnU-Net, MSD, PANORAMA, PanTS, AbdomenAtlas, TotalSegmentator"
        hint = did_you_mean(root) or expected
        raise InputError("there is no dataset.json, nor a public layout", path=root, hint=hint)
    dataset = read(root)
    if not dataset.cases:
        reasons = [f"{s.path.name}: {s.reason}" for s in dataset.skipped[:1]]
        raise InputError("no usable case", path=root, hint=" ".join(reasons) or "it has no images")
    ids = [case.id for case in dataset.cases]
    patient = patients_of(ids, pattern=patient_pattern, table=patients)
    cases = tuple(replace(case, patient=patient[case.id]) for case in dataset.cases)
    # What a user prescribes goes before the parts of a public data set.
    folds = read_folds(root, ids, ids) if dataset.is_public else ()
    return replace(dataset, cases=cases, splits=folds or dataset.splits)


def is_dataset(root: Path) -> bool:
    """Whether a folder is laid out like a data set of volumes that `read_dataset` reads."""
    return _reader_of(root) is not None


def did_you_mean(root: Path) -> str:
    """Question about the data sets that lie in a folder; "" where there is none."""
    inside = sorted(p.name for p in root.iterdir() if p.is_dir() and is_dataset(p))
    return f"did you mean {' or '.join(inside[:3])} in it?" if inside else ""


def _reader_of(root: Path) -> Callable[[Path], Dataset] | None:
    """Reader of the layout of a folder; None of one that is not known."""
    return next((read for is_laid_out_so, read in LAYOUTS if is_laid_out_so(root)), None)


def _read_described(root: Path) -> Dataset:
    """An nnU-Net or MSD folder."""
    path = root / "dataset.json"
    description = read_json(path)
    if not isinstance(description, dict):
        raise InputError("expected an object with labels and channels", path=path)
    # An nnU-Net v2 data set always has one of these keys; v1 and MSD list their training files.
    if "file_ending" in description or "dataset" in description:
        return read_nnunet(root)
    if isinstance(description.get("training"), list):
        return read_msd(root)
    raise InputError('has neither "file_ending" (nnU-Net) nor "training" (MSD)', path=path)


LAYOUTS: Sequence[tuple[Callable[[Path], bool], Callable[[Path], Dataset]]] = (
    (lambda root: (root / "dataset.json").is_file(), _read_described),
    (is_checkout, read_panorama),
    (is_pants, read_pants),
    (is_abdomenatlas, read_abdomenatlas),
    (is_totalsegmentator, read_totalsegmentator),
)
"""How a layout is told, and what reads it; the first that fits."""
