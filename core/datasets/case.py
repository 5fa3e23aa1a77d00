"""Records that every layout is read into: cases of CT and of images, and their data sets."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from core.csv_io import column_names, read_rows
from core.errors import InputError
from core.io.paths import Skipped
from core.names import normal

MAX_ID = 32767
"""Of a label: label maps are read as int16."""
PANORAMA_CASE = r"(\d{6})_\d{5}"
"""Case ids of PANORAMA: patient and study."""


@dataclass(frozen=True)
class Case:
    """One examination.

    Args:
      id: unique in its data set.
      patient: whose it is; cases of one patient stay on one side of every split.
      images: one file per channel, in the order of `Dataset.channels`, on one grid.
      label: integer label map, or None where there is none.
      masks: in place of a label map, a binary file of each class by its name.
      phase: contrast phase that a table of the data set tells; "unknown" without one.
    """

    id: str
    patient: str
    images: tuple[Path, ...]
    label: Path | None
    masks: Mapping[str, Path] = field(default_factory=dict)
    phase: str = "unknown"


class Fold(NamedTuple):
    """Case ids of one prescribed split."""

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """The labelled cases of a data set, and what was left out of it.

    Args:
      name: as the data set calls itself.
      root: its folder.
      label_ids: label name to the id in the files; of masks, to a number that is larger where a
        class has priority over another.
      channels: names of the image channels ("CT", …).
      cases: in the order of their ids.
      splits: folds that the data set prescribes; empty where it prescribes none.
      skipped: every file that was found, or promised, and not used.
      is_public: whether the layout tells what the labels are; those that a paper has no use for
        are background then, while a name in a user's data set may be a slip of the pen.
      commit: of the labels, where they come from a git repository.
    """

    name: str
    root: Path
    label_ids: Mapping[str, int]
    channels: tuple[str, ...]
    cases: tuple[Case, ...]
    splits: tuple[Fold, ...]
    skipped: tuple[Skipped, ...]
    is_public: bool = False
    commit: str | None = None

    def provenance(self, said: Mapping[str, str]) -> dict[str, Any]:
        """What decides the labels besides their files, as the index of a cache has it.

        Args:
          said: what the user says of their names.
        """
        told = {"labels": dict(said), "label_commit": self.commit}
        return {name: value for name, value in told.items() if value}

    @property
    def description(self) -> Path:
        """What names the labels: dataset.json, or the folder where the layout does."""
        path = self.root / "dataset.json"
        return path if path.is_file() else self.root


@dataclass(frozen=True)
class ImageCase:
    """One image with the truth about it.

    Args:
      id: unique in its data set.
      patient: whose it is; images of one patient stay on one side of every split.
      image: its file.
      masks: files of which each marks a part of the tumor; none where the image is known to show
        no tumor. A mask file may be empty too.
      category: the folder or class that the data set puts it in ("malignant"); None without one.
      stage: T stage, as the table of the data set writes it; None where it does not tell.
      location: of the tumor, likewise.
      lesion_value: of the masks, that stands for the tumor; see `core.io.image.mask.read_mask`.
    """

    id: str
    patient: str
    image: Path
    masks: tuple[Path, ...]
    category: str | None = None
    stage: str | None = None
    location: str | None = None
    lesion_value: str | None = None


@dataclass(frozen=True)
class ImageDataset:
    """The labelled images of a data set, and what was left out of it.

    Args:
      name: of its folder.
      root: its folder.
      layout: which reader understood it.
      cases: in natural order of their paths.
      knows_patients: whether `patient` comes from the data; if not, every image stands for one.
      skipped: every file that was found, or promised, and not used.
    """

    name: str
    root: Path
    layout: str
    cases: tuple[ImageCase, ...]
    knows_patients: bool
    skipped: tuple[Skipped, ...]


def patients_of(
    case_ids: Collection[str], *, pattern: str | None, table: Path | None
) -> dict[str, str]:
    """Patient of each case: of the table, or the first group of a pattern in its id.

    Without either, cases named as in PANORAMA are `<patient>_<study>`; any other case is its own
    patient.

    Args:
      case_ids: of a data set.
      pattern: regular expression with a group.
      table: CSV or .xlsx with the columns case and patient, of every case.

    Raises:
      InputError: a pattern that finds nothing, or a table that lacks a case.
    """
    if table is not None:
        return _patients_of_table(case_ids, table)
    if pattern is None and all(re.fullmatch(PANORAMA_CASE, case_id) for case_id in case_ids):
        pattern = PANORAMA_CASE
    return {case_id: patient_of(case_id, pattern) for case_id in case_ids}


def _patients_of_table(case_ids: Collection[str], table: Path) -> dict[str, str]:
    if absent := {"case", "patient"} - set(column_names(table)):
        raise InputError(f"has no column {' and '.join(sorted(absent))}", path=table)
    patients: dict[str, str] = {}
    for row in read_rows(table):
        case, patient = (normal(row.get(name, "")) for name in ("case", "patient"))
        if case and patients.setdefault(case, patient) != patient:
            raise InputError(f"two rows about {case!r} differ", path=table, hint="keep one")
    if missing := sorted(case for case in case_ids if not patients.get(case)):
        more = f" and of {len(missing) - 1} more" if missing[1:] else ""
        raise InputError(f"has no patient of {missing[0]!r}{more}", path=table)
    return {case: patients[case] for case in case_ids}


def patient_of(case_id: str, pattern: str | None) -> str:
    """Patient of a case: the first group of `pattern` in its id, or the id itself."""
    if pattern is None:
        return case_id
    match = re.fullmatch(pattern, case_id)
    if match is None or not match.groups():
        raise InputError(
            f"patient pattern {pattern!r} finds no group in the case id {case_id!r}",
            hint=r"for <patient>_<study> write (\w+)_\d+",
        )
    return match.group(1)


def plain_name(name: str) -> str:
    """Name of a label whatever its case, hyphens, underscores and blanks: "PDAC_lesion"."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def label_ids(labels: object, path: Path) -> dict[str, int]:
    """Name-to-id map from either direction: {"pancreas": 1} or {"1": "pancreas"}."""
    if not isinstance(labels, dict) or not labels:
        raise InputError('"labels" must map names to ids', path=path)
    if regions := [name for name, value in labels.items() if isinstance(value, list)]:
        raise InputError(
            f"labels {regions} are regions (lists of ids), which overlap",
            path=path,
            hint="give every voxel one id",
        )
    if all(str(key).isdigit() for key in labels):
        labels = {str(name): key for key, name in labels.items()}
    try:
        ids = {name: int(str(value)) for name, value in labels.items()}
    except ValueError:
        raise InputError(f'"labels" must map names to ids; got {labels}', path=path) from None
    if wrong := [id_ for id_ in ids.values() if not 0 <= id_ <= MAX_ID]:
        raise InputError(f"label ids {wrong} are not in 0 to {MAX_ID}", path=path)
    if len(set(ids.values())) < len(labels):
        raise InputError(f"two labels share an id: {ids}", path=path)
    return ids


def channel_names(description: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    """Channels in order, under the new key or the old one."""
    names = description.get("channel_names", description.get("modality"))
    wanted = [str(c) for c in range(len(names))] if isinstance(names, dict) else []
    if not wanted or sorted(names, key=str) != sorted(wanted):
        raise InputError(
            f'"channel_names" must be like {{"0": "CT"}}; got {names}',
            path=path,
        )
    return tuple(str(names[c]) for c in wanted)
