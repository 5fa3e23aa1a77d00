"""The two phases of an examination, found in files and put side by side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.io.inventory import find_scans
from core.io.paths import Skipped
from core.io.scans import Scan
from lnmet.config import Phase

CHANNEL = re.compile(r"(.+)_(0000|0001)")
"""Id of a scan in an nnU-Net folder, and its channel: 0 is arterial, 1 is venous."""
CHANNELS: Mapping[str, Phase] = {"0000": "arterial", "0001": "venous"}


@dataclass(frozen=True)
class Pair:
    """Scans of one examination.

    Args:
      id: unique among those found with it.
      path: of the scan on whose grid the answer is given: the venous one, where there is one.
      scans: by phase.
    """

    id: str
    path: Path
    scans: Mapping[Phase, Scan]

    @property
    def reference(self) -> Scan:
        """Scan on whose grid the answer is given."""
        return self.scans.get("venous") or self.scans["arterial"]


def find_pairs(path: Path) -> tuple[list[Pair], list[Skipped]]:
    """Examinations at a path, and what was found and not used.

    Files CASE_0000 and CASE_0001 are the arterial and the venous phase of one examination, as in a
    data set of nnU-Net. Any other scan is taken for a venous one by itself.

    Raises:
      InputError: there is nothing usable at the path.
    """
    scans, skipped = find_scans(path)
    lost = {match[1] for file in skipped if file.is_broken and (match := _channel_of(file.path))}
    # The broken file stands for its examination, which has no use for the other phase alone.
    return [pair for pair in pairs_of(scans) if pair.id not in lost], skipped


def pairs_of(scans: Sequence[Scan]) -> list[Pair]:
    """Examinations that scans belong to, in the order of their first scans."""
    ids = {scan.id for scan in scans}
    by_case: dict[str, dict[Phase, Scan]] = {}
    for scan in scans:
        match = CHANNEL.fullmatch(scan.id)
        if match and f"{match[1]}_0001" in ids:
            by_case.setdefault(match[1], {})[CHANNELS[match[2]]] = scan
        else:
            by_case[match[1] if match else scan.id] = {"venous": scan}
    return [_pair(id_, phases) for id_, phases in by_case.items()]


def pair_of(arterial: Path | None, venous: Path) -> Pair:
    """The examination whose two scans a user names.

    Raises:
      InputError: a path holds no scan, or several.
    """
    paths: dict[Phase, Path] = {"venous": venous}
    if arterial is not None:
        paths["arterial"] = arterial
    scans: dict[Phase, Scan] = {phase: _only_scan(path, phase) for phase, path in paths.items()}
    return _pair(scans["venous"].id, scans)


def _channel_of(path: Path) -> re.Match[str] | None:
    return CHANNEL.fullmatch(path.name.removesuffix(".gz").removesuffix(".nii"))


def _pair(id_: str, scans: Mapping[Phase, Scan]) -> Pair:
    reference = scans.get("venous") or scans["arterial"]
    return Pair(id_, reference.path, scans)


def _only_scan(path: Path, phase: Phase) -> Scan:
    scans, _ = find_scans(path)
    if len(scans) > 1:
        raise InputError(
            f"holds {len(scans)} scans where one is expected",
            path=path,
            hint=f"give the folder of the {phase} series",
        )
    return scans[0]
