"""What every layout of a data set is read into."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import InputError
from core.io.paths import Skipped

ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Case:
    """One examination.

    Args:
      id: unique in its data set.
      patient: whose it is; cases of one patient stay on one side of every split.
      images: one file per channel, in the order of `Dataset.channels`, on one grid.
      label: integer label map, or None where there is none.
    """

    id: str
    patient: str
    images: tuple[Path, ...]
    label: Path | None


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
      label_ids: label name to the id in the files.
      channels: names of the image channels ("CT", …).
      cases: in the order of their ids.
      splits: folds that the data set prescribes; empty where it prescribes none.
      skipped: every file that was found, or promised, and not used.
    """

    name: str
    root: Path
    label_ids: Mapping[str, int]
    channels: tuple[str, ...]
    cases: tuple[Case, ...]
    splits: tuple[Fold, ...]
    skipped: tuple[Skipped, ...]


def patient_of(case_id: str, pattern: str | None) -> str:
    """Patient of a case: the first group of `pattern` in its id, or the id itself."""
    if pattern is None:
        return case_id
    found = re.fullmatch(pattern, case_id)
    if found is None or not found.groups():
        raise InputError(
            f"patient pattern {pattern!r} finds no group in the case id {case_id!r}",
            hint=r"for <patient>_<study> write (\w+)_\d+",
        )
    return found.group(1)


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
        ids = {name: int(value) for name, value in labels.items()}
    except (TypeError, ValueError):
        raise InputError(f'"labels" must map names to ids; got {labels}', path=path) from None
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
