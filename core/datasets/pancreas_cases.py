"""Annotated CT of the pancreas from any public layout, all giving the same record.

nnU-Net raw, MSD, PANORAMA, PanTS, AbdomenAtlas, TotalSegmentator (`read_dataset`) and NIH
Pancreas-CT.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from core.datasets import nih, panorama
from core.datasets.channels import OtherPhaseError, Phase
from core.datasets.label_names import LabelNames, require_named
from core.datasets.pancreas import NAMES_WITH_DUCT
from core.datasets.pancreas_layouts import PancreasData, from_dataset, from_nih
from core.datasets.read import did_you_mean, is_dataset, read_dataset
from core.errors import InputError

logger = logging.getLogger(__name__)


def read_pancreas_sets(
    roots: Sequence[Path], *, labels: LabelNames, exclude_overlap: bool = False, **options: Any
) -> list[PancreasData]:
    """Annotated cases of several data sets, to which together all that the user says applies.

    Args:
      roots: their folders.
      labels: what the user says that label names mean.
      exclude_overlap: as `read_pancreas` has it, of the data sets that are PANORAMA.
      options: others of `read_pancreas`.

    Raises:
      InputError: one of them cannot be used, or none has a name that the user speaks of, or none
        is PANORAMA where its overlap is to be left out.
    """
    read = [
        read_pancreas(root, labels=labels, exclude_overlap=exclude_overlap, **options)
        for root in roots
    ]
    require_named(labels, [name for data in read for name in data.label_names], roots[0])
    if exclude_overlap and not any(panorama.is_panorama(c.id for c in d.cases) for d in read):
        raise InputError(
            "is not PANORAMA, and --exclude-overlap is for its cases of MSD and NIH",
            path=roots[0],
            hint="leave the flag out",
        )
    return read


def read_pancreas(
    root: Path,
    *,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    flip: str = "auto",
    phase: Phase | None = None,
    duct: bool = False,
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
    exclude_overlap: bool = False,
) -> PancreasData:
    """Annotated cases of a data set, its layout told by looking.

    Args:
      root: folder of any layout of `read_dataset`, or with PANCREAS_0001 and the like.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient.
      flip: axes along which NIH's labels run against the CT, as `nih.read_nih_case` has them.
      phase: contrast phase whose channel is read; without, the only channel that is CT.
      duct: whether the pancreatic duct is a class of its own; else it is pancreas.
      labels: what the user says that label names mean.
      exclude_overlap: leave out the cases of PANORAMA that MSD and NIH Pancreas-CT hold as well.

    Raises:
      InputError: the folder is missing, or of no known layout, or it has no such channel; or the
        table that tells of the overlap is missing.
    """
    if not root.is_dir():
        raise InputError("no such folder", path=root)
    if is_dataset(root):
        dataset = read_dataset(root, patient_pattern=patient_pattern, patients=patients)
        if exclude_overlap and panorama.is_panorama(case.id for case in dataset.cases):
            dataset = panorama.without_overlap(dataset)
        return from_dataset(dataset, phase, labels, duct=duct)
    if nih_data := nih.find_nih(root):
        of_nih = from_nih(root, nih_data, phase, patients=patients, flip=flip)
        if patient_pattern is not None:
            logger.warning("%s: --patient-pattern is not used: folders are patients", root)
        return of_nih
    raise InputError(
        "is no annotated data set",
        path=root,
        hint=did_you_mean(root)
        or "expected dataset.json of nnU-Net or MSD, PANCREAS_0001 beside label0001.nii.gz, or a "
        "folder of PANORAMA with panorama_labels in it, PanTS, AbdomenAtlas or TotalSegmentator",
    )


def read_phase(
    roots: Sequence[Path],
    phase: Phase | None,
    *,
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
    duct: bool = False,
) -> list[PancreasData]:
    """Those of several data sets that show a contrast phase; all of them where none is asked for.

    Args:
      roots: their folders.
      phase: that is asked for.
      labels: what the user says that label names mean.
      duct: whether the pancreatic duct is a class of its own.

    Raises:
      InputError: none shows it, or one cannot be read, or none has a name that the user speaks of.
    """
    read, others = [], []
    for root in roots:
        try:
            read.append(read_pancreas(root, phase=phase, labels=labels, duct=duct))
        except OtherPhaseError as error:
            others.append(error)
    if others and not read:
        raise others[0]
    require_named(labels, [name for data in read for name in data.label_names], roots[0])
    return read


def require_annotated(data_sets: Sequence[PancreasData], needed: Collection[int]) -> None:
    """Refuse data sets whose labels together lack one of `needed`, and name what each has."""
    annotated = {id_ for data in data_sets for id_ in data.annotated}
    if absent := [id_ for id_ in needed if id_ not in annotated]:
        has = "; ".join(f"{data.root} has {_and(sorted(data.annotated))}" for data in data_sets)
        raise InputError(f"no label for {_and(absent)}: {has}", path=data_sets[0].root)


def _and(ids: Iterable[int]) -> str:
    return " and ".join(NAMES_WITH_DUCT[id_] for id_ in ids)
