"""Contrast phase of a series, from the best evidence there is.

In this order: the user's table, the words of the header and of the names of file and folder, the
time between injection and scan, the image. Where nothing tells, the phase is unknown, and that is
an answer.
"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from core.errors import InputError
from core.io.dicom.acquisition import Acquisition
from core.io.scans import Scan
from fee.contrast import scan_enhancement
from fee.phase_text import Phase, phase_of_delay, phase_of_text

COLUMNS = ("series", "phase")


class Told(NamedTuple):
    """A phase and what tells it.

    Args:
      phase: arterial, venous, delayed, native or unknown.
      evidence: in words, without anything that identifies the patient.
    """

    phase: Phase
    evidence: str


def phase_of(
    scan: Scan, acquisition: Acquisition, *, name: str, table: Mapping[str, Phase]
) -> Told:
    """Phase of a scan; the image is read only if nothing else tells.

    Args:
      scan: what to judge.
      acquisition: what its header says.
      name: its path below the patient's folder.
      table: from `read_phases`; empty for none.
    """
    for key in (scan.id, name, acquisition.description):
        if key and (phase := table.get(_key(key))):
            return Told(phase, "the user's table")
    for source, text in _texts(acquisition, name):
        if phase := phase_of_text(text):
            return Told(phase, source)
    if acquisition.delay_s is not None and (phase := phase_of_delay(acquisition.delay_s)):
        return Told(phase, f"{acquisition.delay_s:.0f} s after injection")
    try:
        seen = scan_enhancement(scan)
    except InputError as error:
        return Told("unknown", f"the image cannot be read: {error.message}")
    return Told(seen.phase, f"image: {seen}")


def read_phases(path: str | Path) -> dict[str, Phase]:
    """A user's table of phases.

        series,phase
        SE002,arterial
        Abdomen 5.0 B30f,venous

    A series is named as in screening.csv, by its path below the patient's folder, or by its
    description.

    Raises:
      InputError: the table cannot be read, a column is missing, or a phase is none.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError("no such table", path=path) from None
    except (OSError, UnicodeDecodeError):
        raise InputError("the table is not UTF-8 text", path=path, hint="save it as CSV") from None
    reader = csv.DictReader(lines)
    names = [name.strip().lower() for name in reader.fieldnames or ()]
    if missing := [column for column in COLUMNS if column not in names]:
        raise InputError(f"no column {missing[0]}", path=path, hint="write series,phase on top")
    reader.fieldnames = names
    table: dict[str, Phase] = {}
    known: dict[str, Phase] = {phase: phase for phase in get_args(Phase)}
    for number, row in enumerate(reader, 2):
        phase = (row["phase"] or "").strip().lower()
        if phase not in known:
            listed = ", ".join(known)
            raise InputError(f"line {number}: phase {phase!r} is none of {listed}", path=path)
        table[_key(row["series"] or "")] = known[phase]
    return table


def _texts(acquisition: Acquisition, name: str) -> Iterator[tuple[str, str]]:
    yield "series description", acquisition.description
    yield "protocol name", acquisition.protocol
    yield "image comments", acquisition.comments
    yield "contrast agent", acquisition.agent
    yield "name of file or folder", Path(name).name


def _key(text: str) -> str:
    """Descriptions differ in case and blanks where people copy them."""
    return " ".join(text.replace("\\", "/").strip("/").split()).casefold()
