"""Contrast phase of a series, from the best evidence there is.

In this order: the user's table, the words of the header and of the names of file and folder, the
time between injection and scan, the image. Where nothing tells, the phase is unknown, and that is
an answer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from core.csv_io import column_names, read_rows
from core.errors import InputError
from core.io.dicom.acquisition import Acquisition
from core.io.scans import Scan, VolumeCache
from core.names import normal
from core.phases import Phase
from core.phases.image import scan_enhancement
from core.phases.words import phase_of_delay, phase_of_text

PhaseTable = Mapping[str, Mapping[str, Phase]]
"""Phases by series, by patient; "" is every patient."""


class SeriesPhase(NamedTuple):
    """A phase and what tells it, in words without anything that identifies the patient."""

    phase: Phase
    evidence: str


def phase_of(
    scan: Scan,
    acquisition: Acquisition,
    *,
    name: str,
    table: Mapping[str, Phase],
    volumes: VolumeCache,
) -> SeriesPhase:
    """Phase of a scan; the image is read only if nothing else tells.

    Args:
      scan: what to judge.
      acquisition: what its header says.
      name: its path below the patient's folder.
      table: from `phases_of_patient`; empty for none.
      volumes: keeps what has to be read.
    """
    for key in (scan.id, name, acquisition.description):
        if key and (phase := table.get(_key(key))):
            return SeriesPhase(phase, "the user's table")
    if told := phase_of_header(acquisition, name=name):
        return told
    try:
        enhancement = scan_enhancement(scan, volumes)
    except InputError as error:
        return SeriesPhase("unknown", f"the image cannot be read: {error.message}")
    return SeriesPhase(enhancement.phase, f"image: {enhancement}")


def phase_of_header(acquisition: Acquisition, *, name: str) -> SeriesPhase | None:
    """Phase of a scan by words and times; None where they do not tell.

    Args:
      acquisition: what its header says.
      name: its path below the patient's folder; only the last part counts.
    """
    texts = {
        "series description": acquisition.description,
        "protocol name": acquisition.protocol,
        "image comments": acquisition.comments,
        "contrast agent": acquisition.agent,
        "name of file or folder": Path(name).name,
    }
    for source, text in texts.items():
        if phase := phase_of_text(text):
            return SeriesPhase(phase, source)
    if acquisition.delay_s is not None and (phase := phase_of_delay(acquisition.delay_s)):
        return SeriesPhase(phase, f"{acquisition.delay_s:.0f} s after injection")
    return None


def read_phases(path: str | Path) -> PhaseTable:
    """A user's table of phases.

        series,phase,patient
        SE002,arterial,MILLER
        Abdomen 5.0 B30f,venous,

    A series is named as in screening.csv, by its path below the patient's folder, or by its
    description. The column patient is optional; where it is empty a row is about every patient,
    and a row about one patient comes before it.

    Returns:
      Phases by series, by patient.

    Raises:
      InputError: the table cannot be read, a column is missing, a phase is none, or two rows about
        one series differ.
    """
    path = Path(path)
    columns = column_names(path)
    if missing := [column for column in ("series", "phase") if column not in columns]:
        raise InputError(f"no column {missing[0]}", path=path, hint="write series,phase on top")
    table: dict[str, dict[str, Phase]] = {}
    known: dict[str, Phase] = {phase: phase for phase in get_args(Phase)}
    for number, row in enumerate(read_rows(path), 2):
        phase, series = row.get("phase", "").lower(), row.get("series", "")
        if phase not in known:
            listed = ", ".join(known)
            raise InputError(f"line {number}: phase {phase!r} is none of {listed}", path=path)
        rows = table.setdefault(_key(row.get("patient", "")), {})
        if rows.setdefault(_key(series), known[phase]) != phase:
            raise InputError(
                f"line {number}: {series!r} is {phase}, and {rows[_key(series)]} before",
                path=path,
                hint="keep one row of a series, or name patients in a column patient",
            )
    return table


def phases_of_patient(table: PhaseTable, patient: str) -> dict[str, Phase]:
    """Phases by series that a table tells of a patient: its own rows, then those about everyone."""
    return {**table.get("", {}), **table.get(_key(patient), {})}


def _key(text: str) -> str:
    """Descriptions differ in case, blanks and accents where people copy them."""
    return normal(" ".join(text.replace("\\", "/").strip("/").split()).casefold())
