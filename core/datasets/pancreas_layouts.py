"""Annotated CT of the pancreas from each public layout, all as the same record."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.datasets import nih, panorama
from core.datasets.case import Case, Dataset, Fold, patients_of
from core.datasets.channels import OtherPhaseError, Phase, channel_of_phase
from core.datasets.label_names import LabelNames
from core.datasets.labels import label_files, label_place, read_label
from core.datasets.pancreas import (
    BACKGROUND,
    NAMES_WITH_DUCT,
    PANCREAS,
    TUMOR,
    known_names,
    lookup,
)
from core.io import nifti
from core.io.labels import require_same_grid
from core.io.paths import Skipped
from core.io.remarks import remark
from core.io.volume_file import parts
from core.volume import Volume

PUBLIC_PHASE = "venous"
"""Of NIH Pancreas-CT, MSD and PANORAMA: about 70 s after the injection."""
MSD_NAME = "Pancreas"
"""Of Task07 of the Medical Segmentation Decathlon, as its dataset.json has it."""
NIH_NAMES = ("pancreas",)


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
      read_grid: → where its voxels lie, from a header alone; the axes may be in another order.
    """

    id: str
    patient: str
    image: Path
    files: tuple[Path, ...]
    phase: str
    tumor: bool | None
    read: Callable[[], tuple[Volume, Volume]]
    read_label: Callable[[], Volume]
    read_grid: Callable[[], Volume]


class PancreasData(NamedTuple):
    """The annotated cases of a data set.

    Args:
      root: its folder.
      cases: in the order of their ids.
      skipped: what was left out, and why.
      folds: that the data set prescribes.
      annotated: which of `NAMES_WITH_DUCT` its labels can hold.
      label_names: as its files have them.
      provenance: what else decides its labels: "labels", what the user says of their names, and
        "label_commit" of a checkout.
    """

    root: Path
    cases: Sequence[PancreasCase]
    skipped: Sequence[Skipped]
    folds: Sequence[Fold]
    annotated: Collection[int]
    label_names: Collection[str]
    provenance: Mapping[str, Any]


def from_dataset(
    dataset: Dataset, wanted: Phase | None, labels: LabelNames, *, duct: bool
) -> PancreasData:
    """Those of nnU-Net raw or of a public layout like it.

    Args:
      dataset: of `core.datasets.read`.
      wanted: contrast phase; None for the only channel that is CT.
      labels: what the user says that label names mean.
      duct: whether the pancreatic duct is a class of its own; else it is pancreas.

    Raises:
      OtherPhaseError: it shows another phase.
      InputError: no such channel, or label names that mean nothing.
    """
    table = lookup(
        dataset.label_ids,
        dataset.description,
        needed=(PANCREAS,),
        labels=labels,
        duct=duct,
        others=BACKGROUND if dataset.is_public else None,
    )
    diagnoses: Mapping[str, bool | None] = {}
    if panorama.is_panorama(case.id for case in dataset.cases):
        diagnoses = {id_: row.tumor for id_, row in panorama.read_table(dataset.root).items()}
    is_venous = bool(diagnoses) or dataset.name in (MSD_NAME, panorama.NAME)
    if is_venous:
        _require_phase(PUBLIC_PHASE, wanted, dataset.root)
    known, others = _of_phase(dataset, PUBLIC_PHASE if is_venous else None, wanted)
    ct = channel_of_phase(dataset.channels, wanted, dataset.description)
    said = labels.said_of(dataset.label_ids, known_names())
    return PancreasData(
        dataset.root,
        [_volume(case, dataset, ct, table, diagnoses.get(case.id)) for case in known],
        (*dataset.skipped, *others),
        dataset.splits,
        annotated={id_ for id_ in NAMES_WITH_DUCT if (table == id_).any()},
        label_names=list(dataset.label_ids),
        provenance=dataset.provenance(said),
    )


def from_nih(
    root: Path, data: nih.NihDataset, wanted: Phase | None, *, patients: Path | None, flip: str
) -> PancreasData:
    """Those of NIH Pancreas-CT, whose patients are healthy.

    Args:
      root: its folder.
      data: what lies there.
      wanted: contrast phase; None for any.
      patients: table with the columns case,patient.
      flip: axes along which labels run against the CT, as `nih.read_nih_case` has them.

    Raises:
      OtherPhaseError: another phase is wanted.
    """
    _require_phase(PUBLIC_PHASE, wanted, root)
    patient = patients_of([case.patient for case in data.cases], pattern=None, table=patients)
    cases = [_nih_case(case, patient[case.patient], flip) for case in data.cases]
    return PancreasData(root, cases, data.skipped, (), {PANCREAS}, NIH_NAMES, {})


def _require_phase(phase: str, wanted: Phase | None, root: Path) -> None:
    if wanted not in (None, phase):
        raise OtherPhaseError(f"holds {phase} scans where {wanted} ones are needed", path=root)


def _of_phase(
    dataset: Dataset, every: str | None, wanted: Phase | None
) -> tuple[list[Case], list[Skipped]]:
    """Cases with the phase that is known of them, and those of another one than is wanted.

    A case of which nothing is known is of the phase that is wanted.
    """
    cases, skipped = [], []
    for case in dataset.cases:
        phase = every or case.phase
        if wanted not in (None, phase) and phase != "unknown":
            skipped.append(Skipped(case.images[0], f"is of the {phase} phase"))
        else:
            cases.append(replace(case, phase=wanted or phase))
    return cases, skipped


def _volume(
    case: Case, dataset: Dataset, ct: int, table: NDArray[np.uint8], tumor: bool | None
) -> PancreasCase:
    """One case of `read_dataset`, of whose channels one is CT."""
    # MSD keeps all channels in one file, which is refused where it is read.
    path, place = case.images[min(ct, len(case.images) - 1)], label_place(case)
    told = tumor if TUMOR in table else None
    read_own = partial(read_label, case, dataset.label_ids, table)

    def read() -> tuple[Volume, Volume]:
        image, label = nifti.read(path), read_own()
        if told is not None and told != bool((label.array == TUMOR).any()):
            words = ("a tumor", "none") if told else ("no tumor", "one")
            remark(place, "the table tells of {}, and the label shows {}".format(*words))
        return image, require_same_grid(image, label, path, place)

    files = [*parts(path), *label_files(case, dataset.label_ids, table)]
    if dataset.description.is_file():  # another map of label names makes other labels
        files.append(dataset.description)
    return PancreasCase(
        case.id,
        case.patient,
        path,
        tuple(files),
        case.phase,
        tumor,
        read,
        read_own,
        partial(nifti.read_grid, path),
    )


def _nih_case(case: nih.NihCase, patient: str, flip: str) -> PancreasCase:
    """One healthy patient."""

    def read() -> tuple[Volume, Volume]:
        return nih.read_nih_case(case, flip=flip)

    files = (*sorted(p for p in case.folder.rglob("*") if p.is_file()), case.label)
    return PancreasCase(
        case.patient,
        patient,
        case.folder,
        files,
        PUBLIC_PHASE,
        False,
        read,
        lambda: read()[1],
        partial(nifti.read_grid, case.label),
    )
