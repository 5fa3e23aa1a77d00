"""Annotated CT of the pancreas from any public layout, all giving the same record.

nnU-Net raw, MSD and PANORAMA (a folder with `dataset.json`), and NIH Pancreas-CT.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.datasets import nih, panorama, read_dataset
from core.datasets.case import Case, Dataset, Fold
from core.datasets.channels import OtherPhaseError, Phase, channel_of_phase
from core.datasets.pancreas import NAMES_WITH_DUCT, PANCREAS, TUMOR, lookup
from core.errors import InputError
from core.io import nifti
from core.io.labels import check_ids, require_same_grid
from core.io.paths import Skipped
from core.io.remarks import remark
from core.io.volume_file import parts
from core.volume import Volume

logger = logging.getLogger(__name__)

PUBLIC_PHASE = "venous"
"""Of NIH Pancreas-CT, MSD and PANORAMA: about 70 s after the injection."""
MSD_NAME = "Pancreas"
"""Of Task07 of the Medical Segmentation Decathlon, as its dataset.json has it."""


class PancreasCase(NamedTuple):
    """An annotated CT before it is read.

    Args:
      id: unique in its data set.
      patient: whose it is.
      image: its file, or the folder of its DICOM files.
      files: all that it is made from.
      phase: contrast phase; "unknown" where nothing tells.
      tumor: whether a table says that there is one; None where only the label tells.
      read: → CT in HU, and its label on the same grid: 0 background, 1 pancreas, 2 tumor, 3
        duct where it is a class of its own, and 255 where nobody annotated.
      read_label: → the label alone.
    """

    id: str
    patient: str
    image: Path
    files: tuple[Path, ...]
    phase: str
    tumor: bool | None
    read: Callable[[], tuple[Volume, Volume]]
    read_label: Callable[[], Volume]


class PancreasData(NamedTuple):
    """The annotated cases of a data set.

    Args:
      root: its folder.
      cases: in the order of their ids.
      skipped: what was left out, and why.
      folds: that the data set prescribes.
      annotated: which of `NAMES_WITH_DUCT` its labels can hold.
    """

    root: Path
    cases: Sequence[PancreasCase]
    skipped: Sequence[Skipped]
    folds: Sequence[Fold]
    annotated: Collection[int]


def read_pancreas(
    root: Path,
    *,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    flip: str = "auto",
    phase: Phase | None = None,
    duct: bool = False,
) -> PancreasData:
    """Annotated cases of a data set, its layout told by looking.

    Args:
      root: folder with dataset.json, or with PANCREAS_0001 and the like.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient.
      flip: axes along which NIH's labels run against the CT, as `nih.read_nih_case` has them.
      phase: contrast phase whose channel is read; without, the only channel that is CT.
      duct: whether the pancreatic duct is a class of its own.

    Raises:
      InputError: the folder is missing, or of no known layout, or it has no such channel.
    """
    if not root.is_dir():
        raise InputError("no such folder", path=root)
    if (root / "dataset.json").is_file():
        dataset = read_dataset(root, patient_pattern=patient_pattern, patients=patients)
        return _from_dataset(dataset, phase, duct)
    if nih_data := nih.find_nih(root):
        _require_phase(PUBLIC_PHASE, phase, root)
        if patient_pattern is not None or patients is not None:
            note = "%s: --patient-pattern and --patients are not used: folders are patients"
            logger.warning(note, root)
        cases = [_from_nih(case, flip) for case in nih_data.cases]
        return PancreasData(root, cases, nih_data.skipped, (), {PANCREAS})
    raise InputError(
        "is no annotated data set",
        path=root,
        hint="expected dataset.json of nnU-Net or MSD, or PANCREAS_0001 and label0001.nii.gz",
    )


def read_phase(
    roots: Sequence[Path], phase: Phase | None, *, duct: bool = False
) -> list[PancreasData]:
    """Those of several data sets that show a contrast phase; all of them where none is asked for.

    Raises:
      InputError: none shows it, or one cannot be read.
    """
    read, others = [], []
    for root in roots:
        try:
            read.append(read_pancreas(root, phase=phase, duct=duct))
        except OtherPhaseError as error:
            others.append(error)
    if others and not read:
        raise others[0]
    return read


def require_annotated(data_sets: Sequence[PancreasData], needed: Collection[int]) -> None:
    """Refuse data sets whose labels together lack one of `needed`, and name what each has."""
    annotated = {id_ for data in data_sets for id_ in data.annotated}
    if absent := [id_ for id_ in needed if id_ not in annotated]:
        has = "; ".join(f"{data.root} has {_and(sorted(data.annotated))}" for data in data_sets)
        raise InputError(f"no label for {_and(absent)}: {has}", path=data_sets[0].root)


def _and(ids: Iterable[int]) -> str:
    return " and ".join(NAMES_WITH_DUCT[id_] for id_ in ids)


def _require_phase(phase: str, wanted: Phase | None, root: Path) -> None:
    if wanted not in (None, phase):
        raise OtherPhaseError(f"holds {phase} scans where {wanted} ones are needed", path=root)


def _from_dataset(dataset: Dataset, wanted: Phase | None, duct: bool) -> PancreasData:
    ids = lookup(dataset.label_ids, dataset.root, needed=(PANCREAS,), duct=duct)
    annotated = {id_ for id_ in NAMES_WITH_DUCT if (ids == id_).any()}
    diagnoses: Mapping[str, bool] = {}
    if panorama.is_panorama(dataset):
        diagnoses = panorama.read_diagnoses(dataset.root)
    is_public = bool(diagnoses) or dataset.name == MSD_NAME
    if is_public:
        _require_phase(PUBLIC_PHASE, wanted, dataset.root)
    phase = PUBLIC_PHASE if is_public else wanted or "unknown"
    ct = channel_of_phase(dataset.channels, wanted, dataset.root / "dataset.json")
    cases = [
        _volume(case, dataset, ids, ct, diagnoses.get(case.id), phase) for case in dataset.cases
    ]
    return PancreasData(dataset.root, cases, dataset.skipped, dataset.splits, annotated)


def _volume(
    case: Case,
    dataset: Dataset,
    ids: NDArray[np.uint8],
    ct: int,
    tumor: bool | None,
    phase: str,
) -> PancreasCase:
    """One case of a folder with dataset.json, of whose channels one is CT."""
    # MSD keeps all channels in one file, which is refused where it is read.
    path, label_path = case.images[min(ct, len(case.images) - 1)], case.label
    if label_path is None:
        raise ValueError(f"case {case.id} has no label")

    told = tumor if TUMOR in ids else None

    def read_label() -> Volume:
        label = nifti.read_label(label_path)
        check_ids(label, dataset.label_ids.values(), label_path)
        return label.with_array(ids[label.array])

    def read() -> tuple[Volume, Volume]:
        image, label = nifti.read(path), read_label()
        if told is not None and told != bool((label.array == TUMOR).any()):
            words = ("a tumor", "none") if told else ("no tumor", "one")
            remark(label_path, "the table tells of {}, and the label shows {}".format(*words))
        return image, require_same_grid(image, label, path, label_path)

    # The description too: another map of label names makes other labels.
    files = (*parts(path), *parts(label_path), dataset.root / "dataset.json")
    return PancreasCase(case.id, case.patient, path, files, phase, tumor, read, read_label)


def _from_nih(case: nih.NihCase, flip: str) -> PancreasCase:
    """One healthy patient."""

    def read() -> tuple[Volume, Volume]:
        return nih.read_nih_case(case, flip=flip)

    files = (*sorted(p for p in case.folder.rglob("*") if p.is_file()), case.label)
    return PancreasCase(
        case.patient,
        case.patient,
        case.folder,
        files,
        PUBLIC_PHASE,
        False,
        read,
        lambda: read()[1],
    )
