"""The two phases of an examination, found in files and put side by side."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.datasets.case import channel_names
from core.datasets.channels import Phase, phase_of, phases_of, require_ct
from core.errors import InputError
from core.io.assignment import ENDINGS
from core.io.inventory import find_scans
from core.io.paths import Skipped, below, unique_ids
from core.io.scans import Scan
from core.json_io import read_json
from core.names import normal
from core.screening.choice import choose, studies_of

CHANNEL = re.compile(r"(.+)_(0000|0001)")
"""Id of a scan in an nnU-Net folder, and its channel: 0 is arterial, 1 is venous."""
DATASET = "dataset.json"
CHANNELS: Mapping[str, Phase] = {"0000": "arterial", "0001": "venous"}


@dataclass(frozen=True)
class Pair:
    """Scans of one examination.

    Args:
      id: unique among those found with it.
      scans: by phase.
      notes: how the scans were chosen, and what a reader must know about it.
      is_registered: whether the two phases show the same place at the same voxel, as the channels
        of a data set of nnU-Net do.
      is_told: whether its phases are known; not, where a NIfTI file by itself is taken for venous.
      grid: phase on whose grid the answer is given, where the examination has it.
    """

    id: str
    scans: Mapping[Phase, Scan]
    notes: tuple[str, ...] = ()
    is_registered: bool = False
    is_told: bool = True
    grid: Phase = "venous"

    @property
    def reference(self) -> Scan:
        """Scan on whose grid the answer is given."""
        return self.scans.get(self.grid) or next(iter(self.scans.values()))

    @property
    def path(self) -> Path:
        """Path of the reference."""
        return self.reference.path

    def seen_in(self, phases: Collection[Phase]) -> "Pair":
        """The examination as it is for networks that see some phases.

        The answer is given on the venous grid, or on that of the only phase they see; a scan whose
        phase nothing tells is taken for that one.
        """
        if len(phases) > 1:
            return self
        (phase,) = phases
        if self.is_told or phase in self.scans:
            return replace(self, grid=phase)
        note = f"taken for the {phase} phase, the only one that is looked at"
        return replace(self, scans={phase: self.reference}, grid=phase, notes=(*self.notes, note))


def find_pairs(path: Path) -> tuple[list[Pair], list[Skipped]]:
    """Examinations at a path, and what was found and not used.

    NIfTI files CASE_0000 and CASE_0001 are the arterial and the venous phase of one examination, as
    in a data set of nnU-Net; any other one is taken for a venous scan by itself. Of a whole data
    set, its imagesTr are looked at, and dataset.json may name the phases of its channels. Of DICOM
    series, an examination is a study, in which screening finds the two phases.

    Returns:
      Examinations, none where each has failed already; and files and studies that are not used,
      among them the studies in which neither phase is found.

    Raises:
      InputError: there is nothing usable at the path, or the channels of a data set are no phases.
    """
    if (path / DATASET).is_file():
        pairs, skipped = find_pairs(path / "imagesTr")
        told = _told(path / DATASET)
        return [replace(pair, **_renamed(pair, told)) for pair in pairs], skipped
    scans, skipped = find_scans(path)
    files = [scan for scan in scans if scan.kind == "nifti"]
    # The broken file stands for its examination, which has no use for the other phase alone.
    broken = [_id(file.path, path) for file in skipped if file.is_broken]
    lost = {case for id_ in broken if (case := _case(id_))}
    pairs = pairs_of_files([file for file in files if _case(file.id) not in lost])
    studies, untold = pairs_of_studies([scan for scan in scans if scan.kind == "dicom"], path)
    pairs += studies
    ids = unique_ids([pair.id for pair in pairs], instead="case")
    named = [replace(pair, id=id_) for pair, id_ in zip(pairs, ids, strict=True)]
    return named, [*skipped, *untold]


def pairs_of_files(scans: Sequence[Scan]) -> list[Pair]:
    """Examinations that NIfTI files belong to by their names, in the order of their first files.

    The two phases lie in one folder: cases of one name in several folders are several cases.
    """
    by_case: dict[tuple[Path, str], dict[Phase, Scan]] = {}
    for scan in scans:
        match = CHANNEL.fullmatch(normal(below(scan.path, scan.path, ENDINGS)))
        key, phase = (scan.path, ""), "venous"
        if match and CHANNELS[match[2]] not in by_case.get((scan.path.parent, match[1]), {}):
            key, phase = (scan.path.parent, match[1]), CHANNELS[match[2]]
        by_case.setdefault(key, {})[phase] = scan
    for phases in by_case.values():
        if "venous" not in phases:  # a data set of one channel has it as channel 0
            phases["venous"] = phases.pop("arterial")
    firsts = [next(iter(phases.values())).id for phases in by_case.values()]
    return [
        Pair(_case(id_) or id_, phases, is_registered=len(phases) == 2, is_told=len(phases) == 2)
        for id_, phases in zip(firsts, by_case.values(), strict=True)
    ]


def pairs_of_studies(scans: Sequence[Scan], root: Path) -> tuple[list[Pair], list[Skipped]]:
    """Examinations that DICOM series belong to, and studies in which neither phase is found.

    Args:
      scans: series of any patients and studies.
      root: where they were found, which names of examinations are relative to.
    """
    pairs, untold = [], []
    for study in studies_of(scans):
        folder = Path(os.path.commonpath([scan.path for scan in study]))
        place = folder if folder.is_relative_to(root) else root
        try:
            choice = choose(study)
        except InputError as error:
            untold.append(Skipped(place, f"{error.message}; {error.hint}", is_broken=True))
            continue
        id_ = study[0].id if len(study) == 1 else below(place, root, ENDINGS)
        pairs.append(Pair(id_, choice.scans, notes=choice.notes))
    return pairs, untold


def pair_of(arterial: Path | None, venous: Path | None) -> Pair:
    """The examination whose two scans, or one, a user names.

    Raises:
      InputError: a path holds no scan, or several.
    """
    named: dict[Phase, Path | None] = {"venous": venous, "arterial": arterial}
    scans: dict[Phase, Scan] = {
        phase: _only_scan(path, phase) for phase, path in named.items() if path is not None
    }
    return Pair(next(iter(scans.values())).id, scans)


def _id(path: Path, root: Path) -> str:
    """Id of a scan that a file would have been."""
    return unique_ids([below(path, root, ENDINGS)], instead="scan")[0]


def _case(id_: str) -> str | None:
    match = CHANNEL.fullmatch(id_)
    return match[1] if match else None


def _told(path: Path) -> tuple[Phase, ...]:
    """Phases that dataset.json gives its channels by name; none where it does not tell."""
    names = channel_names(read_json(path), path)
    require_ct(names, path)
    return phases_of(names, path) if any(map(phase_of, names)) else ()


def _renamed(pair: Pair, told: tuple[Phase, ...]) -> dict[str, Any]:
    """Scans of a pair under the phases that its data set tells; the first channel comes first."""
    in_order = [pair.scans[phase] for phase in ("arterial", "venous") if phase in pair.scans]
    if len(told) != len(in_order):
        return {}
    return {"scans": dict(zip(told, in_order, strict=True)), "is_told": True}


def _only_scan(path: Path, phase: Phase) -> Scan:
    scans, _ = find_scans(path)
    if len(scans) > 1:
        raise InputError(
            f"holds {len(scans)} scans where one is expected",
            path=path,
            hint=f"give the folder of the {phase} series",
        )
    return scans[0]
