"""Phases of an examination, read from files and brought onto one grid."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from core.datasets.channels import Phase
from core.errors import InputError
from core.io.dicom.identity import frame_of_reference
from core.io.scans import Scan, read_scan
from core.screening.pairs import Pair
from core.volume import Volume, canonical, same_grid
from lnmet.registration.config import RegistrationConfig
from lnmet.registration.phases import register_phases


class Phases(NamedTuple):
    """Canonical volumes on one grid, and how they came to lie on it."""

    volumes: Mapping[Phase, Volume]
    notes: tuple[str, ...] = ()
    quality: Mapping[str, Any] | None = None
    """Of the registration; None where there was none."""


def read_phases(pair: Pair, wanted: Collection[Phase], cfg: RegistrationConfig) -> Phases:
    """Phases that the networks want; two that are not registered are registered.

    Raises:
      InputError: a phase is missing, or the two show too little in common.
    """
    if absent := set(wanted) - pair.scans.keys():
        raise InputError(f"has no {min(absent)} phase, which the networks want", path=pair.path)
    scans: dict[Phase, Volume] = {phase: read_scan(pair.scans[phase]) for phase in sorted(wanted)}
    is_one_grid = len(scans) == 1 or (
        pair.is_registered and same_grid(*map(canonical, scans.values()))
    )
    if is_one_grid:
        return Phases(_canonical(scans))
    registered = register_phases(
        scans["venous"],
        scans["arterial"],
        cfg,
        venous_frame=frame_of(pair.scans["venous"]),
        arterial_frame=frame_of(pair.scans["arterial"]),
    )
    scans["arterial"] = registered.warped
    return Phases(_canonical(scans), registered.notes, registered.quality)


def frame_of(scan: Scan) -> str:
    """Frame of reference of a scan, for comparison alone; "" where its files do not tell."""
    return frame_of_reference(scan.frames[0].path) if scan.frames else ""


def _canonical(scans: Mapping[Phase, Volume]) -> dict[Phase, Volume]:
    return {phase: canonical(scan) for phase, scan in scans.items()}
