"""Annotated two-phase CT of a data set, read into LNMet's ids."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from core.datasets.case import Case, Dataset, Fold
from core.datasets.channels import Phase, phase_of, phases_of
from core.datasets.label_names import LabelNames
from core.datasets.labels import label_files, label_place
from core.datasets.labels import read_label as stored_label
from core.datasets.read import read_dataset
from core.errors import InputError
from core.io import nifti
from core.io.labels import require_same_grid
from core.io.paths import Skipped
from core.io.volume_file import parts, without_ending
from core.volume import Volume, canonical, same_grid
from lnmet.config import ORGANS
from lnmet.label_files import map_of
from lnmet.labels import BACKGROUND, PDAC, Meaning, meaning, said_of
from lnmet.organ_labels import LABEL_MAPS, LabelMap, read_label_map, to_organs
from lnmet.status.table import listed
from lnmet.tumor_masks import TumorMasks

logger = logging.getLogger(__name__)


class OrganMaps(NamedTuple):
    """Label maps of organs and vessels that are kept apart from a data set.

    Args:
      folder: holds <case>.nii.gz, or cases/<case>/segmentation.nii.gz as `lnmet segment` writes.
      label_map: what their ids mean.
    """

    folder: Path
    label_map: LabelMap

    @property
    def annotated(self) -> frozenset[int]:
        """Ids of the organs and vessels that the maps tell of."""
        absent = self.label_map.absent()
        return frozenset(id_ for id_, o in enumerate(ORGANS, start=1) if o not in absent)

    def of(self, case_id: str) -> Path:
        """File of a case.

        Raises:
          InputError: there is none.
        """
        path = map_of(self.folder, case_id)
        if path is None:
            raise InputError(f"no label map of case {case_id}", path=self.folder)
        return path

    def read(self, case_id: str) -> Volume:
        """Organs and vessels of a case, ids 1 … 10, in canonical orientation.

        Raises:
          InputError: there is no map of the case, or it cannot be read.
        """
        label = canonical(nifti.read_label(self.of(case_id)))
        return label.with_array(to_organs(label.array, self.label_map))


def organ_maps(folder: Path, label_map: str) -> OrganMaps:
    """Label maps of a folder.

    Args:
      folder: of the label maps.
      label_map: name of a data set in `LABEL_MAPS`, or a table with the columns organ,id.

    Raises:
      InputError: the folder is missing, or the name is neither.
    """
    if not folder.exists():
        raise InputError("no such folder", path=folder)
    if label_map in LABEL_MAPS:
        source = LABEL_MAPS[label_map]
    elif Path(label_map).is_file():
        source = read_label_map(Path(label_map))
    else:
        names = ", ".join(LABEL_MAPS)
        raise InputError(f"no label map {label_map!r}", hint=f"one of {names}, or a table")
    if absent := source.absent():
        logger.warning("%s has no %s: no attention around them", label_map, ", ".join(absent))
    return OrganMaps(folder, source)


class LabelledCase(NamedTuple):
    """An annotated case before it is read.

    Args:
      id: unique in its data set.
      patient: whose it is.
      image: file of the venous phase, or of the only one.
      names: file names of its phases, without endings.
      files: all that it is made from.
      phases: channels, in the order of `read`.
      annotated: ids of `lnmet.labels` that its data set names.
      read: → a volume of HU for each phase, and the label, on one grid in canonical orientation.
      read_label: → the label alone.
      read_grid: → where its voxels lie, in canonical orientation, from a header alone.
    """

    id: str
    patient: str
    image: Path
    names: tuple[str, ...]
    files: tuple[Path, ...]
    phases: tuple[Phase, ...]
    annotated: frozenset[int]
    read: Callable[[], tuple[list[Volume], Volume]]
    read_label: Callable[[], Volume]
    read_grid: Callable[[], Volume]


class LabelledData(NamedTuple):
    """The annotated cases of a data set, and what was left out of it.

    Args:
      root: its folder.
      cases: in the order of their ids.
      skipped: what was left out, and why.
      folds: that the data set prescribes.
      notes: how it was understood where it does not say.
      label_names: as its files have them.
      provenance: what the user says that they mean, as "labels"; and the commit of the labels.
    """

    root: Path
    cases: Sequence[LabelledCase]
    skipped: Sequence[Skipped]
    folds: Sequence[Fold]
    notes: Sequence[str]
    label_names: Collection[str]
    provenance: Mapping[str, Any]


def read_cases(
    root: Path,
    *,
    organs: OrganMaps | None = None,
    pdac: TumorMasks | None = None,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
) -> LabelledData:
    """Annotated cases of a data set; labels are told by their names.

    Args:
      root: folder of any layout of `core.datasets.read.read_dataset`.
      organs: label maps of the organs and vessels that the data set itself does not name.
      pdac: masks of the tumor, where it does not name that.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient.
      labels: what the user says that label names mean.

    Raises:
      InputError: the folder is of no known layout, its channels are no phases, or none of its
        labels is known.
    """
    dataset = read_dataset(root, patient_pattern=patient_pattern, patients=patients)
    phases = phases_of(dataset.channels, dataset.description)
    ids, said = meaning(dataset.label_ids, root, labels), said_of(dataset.label_ids, labels)
    apart = Apart(organs, None if PDAC in ids.annotated else pdac)
    cases = [_labelled(case, dataset, phases, ids, apart) for case in dataset.cases]
    notes = [f"labels without a use here: {', '.join(ids.unused)}"] if ids.unused else []
    if apart.pdac is not None:
        without = [case.id for case in cases if PDAC not in case.annotated]
        notes += [f"no mask of the tumor of {listed(without)}: not known"] if without else []
    if not any(map(phase_of, dataset.channels)) and len(phases) == 2:
        notes.append("channel 0 is taken for the arterial phase, channel 1 for the venous one")
    return LabelledData(
        root,
        cases,
        dataset.skipped,
        dataset.splits,
        notes,
        label_names=list(dataset.label_ids),
        provenance=dataset.provenance(said),
    )


class Apart(NamedTuple):
    """Label maps that are kept apart from a data set."""

    organs: OrganMaps | None
    pdac: TumorMasks | None


def _labelled(
    case: Case,
    dataset: Dataset,
    phases: tuple[Phase, ...],
    ids: Meaning,
    apart: Apart,
) -> LabelledCase:
    place, (organs, pdac) = label_place(case), apart
    mask = pdac and pdac.of(case.id)

    def read_label() -> Volume:
        label = canonical(stored_label(case, dataset.label_ids, ids.table))
        if organs is not None:
            label = _with_organs(label, ids, organs, case.id)
        return label if pdac is None or mask is None else pdac.added_to(label, mask)

    def read() -> tuple[list[Volume], Volume]:
        images = [canonical(nifti.read(path)) for path in case.images]
        for path, image in zip(case.images[1:], images[1:], strict=True):
            if not same_grid(images[0], image):
                raise InputError(
                    f"is not on the grid of {case.images[0].name}",
                    path=path,
                    hint="run lnmet register on the data set first",
                )
        return images, require_same_grid(images[0], read_label(), case.images[0], place)

    venous = case.images[phases.index("venous")] if "venous" in phases else case.images[0]
    images = (part for path in case.images for part in parts(path))
    files = (*images, *label_files(case, dataset.label_ids, ids.table))
    if dataset.description.is_file():
        files = (*files, dataset.description)
    annotated = ids.annotated
    if organs is not None:
        files = (*files, organs.of(case.id))
        annotated |= organs.annotated
    if mask is not None:
        files, annotated = (*files, mask), annotated | {PDAC}
    names = tuple(without_ending(path.name) for path in case.images)
    return LabelledCase(
        case.id,
        case.patient,
        venous,
        names,
        files,
        phases,
        annotated,
        read,
        read_label,
        lambda: canonical(nifti.read_grid(venous)),
    )


def _with_organs(label: Volume, ids: Meaning, organs: OrganMaps, case_id: str) -> Volume:
    """Label with the organs that its data set does not name, where nothing else is annotated."""
    stored = organs.read(case_id)
    added = require_same_grid(label, stored, "the label", organs.of(case_id)).array
    added[np.isin(added, list(ids.annotated))] = BACKGROUND
    return label.with_array(np.where(label.array == BACKGROUND, added, label.array))
