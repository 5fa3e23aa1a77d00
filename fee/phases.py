"""Contrast phase of a series, from the best evidence there is.

In this order: the user's table, the words of the header and of the names of file and folder, the
time between injection and scan, the image. Where nothing tells, the phase is unknown, and that is
an answer.

Among words, those of a phase decide before a time, a time before "late" and "delayed", and these
before "CTA": a late arterial phase is arterial, a delayed portal venous one is venous. Where the
words name two phases nothing is decided.
"""

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from core.csv_io import column_names, read_rows
from core.errors import InputError
from core.io.dicom.acquisition import Acquisition
from core.io.scans import Scan, VolumeCache
from fee.phase_from_image import Phase, scan_enhancement

# Written for text in lower case without accents, in which "_", "-", "." and "," are spaces.
NAMES: tuple[tuple[Phase, str], ...] = (
    ("arterial", r"\b(hepato?|spae?t|fru?e?h)?arteri(?!o)|\b(art|hap)\b|\b(a|art|ap) ?ph(ase)?\b"),
    ("arterial", r"\bpan[ck]rea\w* ?ph|\b(fase|phase) pancrea|corticomedul|動脈|动脉|动脈|早期相"),
    ("arterial", r"(胰腺|胰实质|膵実質|膵|皮质|皮髓质|皮髓)(期|相)"),
    ("venous", r"\b(?<!intra )(?<!arterio )(port(al|o)?)?ve(n|nos\w*|nous|noes\w*|ineu[sx]e?)\b"),
    ("venous", r"\bportal(e|is|phase)?\b|\bporto\b|静脉|静脈|靜脈|门脉|門脈"),
    ("venous", r"\b(pv|pvp|v) ?ph(ase)?\b|\b(pv|pvp)\b|\bvp\b(?! shunt)"),
    ("native", r"\bnativ(e|o|a|e?phase)?\b|\bplain\b|\bunenhanced\b|\bnon ?enhanced\b"),
    ("native", r"\b(non|no|pre|without|w/o|wo) ?(iv |i v )?con(t|trast)?\b|\b(vnc|ncct|nect)\b"),
    ("native", r"\bohne (i ?v )?(km|kontrast)|\bo ?km\b|\b(sans|sin) (i ?v|inj|contrast|pdc|civ)"),
    ("native", r"\bnon injecte|\bsimple\b(?!.*contrast)|平扫|平掃|单纯|単純|造影前"),
    ("native", r"(?<!\w)c-(?![\w-])"),
)
LATE = r"\b(delay(?! \d+ ?mm)|late\b|later\b|tard[iy]|retard|spae?t|verzoger|equilib|washout"
LATE += r"|gleichgewicht|excret|exkret|urogra)|\bd ph(ase)?\b|延[迟遲]|遅延|平衡|排泄|分泌|后期"
LATE += r"|晚期|晩期|後期"
ANGIOGRAPHY = r"\bcta\b|\bangio"
BOTH = r"\bw ?/? ?(and|&|\+)? ?wo\b|\bw ?/ ?w/?o\b|\bwith (and|&|or) without\b|\bmit und ohne\b"
BOTH += r"|\bavec et sans\b|\bcon y sin\b|\bsin y con\b"
SECONDS = r"(?<![\w.])(\d{2,3}) ?(?:s|sec|secs|sek|seg|seconds?|秒)(?![a-z0-9])"
MINUTES = r"(?<![\w.])(\d{1,2}) ?(?:m|min|mins|minutes?|minuten|minutos|分钟|分)(?![a-z0-9])"
AFTER_DELAY = r"\bdelay(?:ed)? (\d{2,3})\b(?! ?(?:mm|kv|hu|m))"

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
    try:
        enhancement = scan_enhancement(scan, volumes)
    except InputError as error:
        return SeriesPhase("unknown", f"the image cannot be read: {error.message}")
    return SeriesPhase(enhancement.phase, f"image: {enhancement}")


def phase_of_text(text: str) -> Phase | None:
    """Phase that a series description or the like names; None where it names none, or two.

    >>> phase_of_text("Abdomen spätarteriell 1.0"), phase_of_text("AP"), phase_of_text("门静脉期")
    ('arterial', None, 'venous')
    """
    words = re.sub(BOTH, " ", _plain(text))
    named: set[Phase] = {phase for phase, pattern in NAMES if re.search(pattern, words)}
    if named:
        return named.pop() if len(named) == 1 else None
    if (seconds := _seconds(words)) is not None:
        return phase_of_delay(seconds)
    if re.search(LATE, words):
        return "delayed"
    return "arterial" if re.search(ANGIOGRAPHY, words) else None


def phase_of_delay(seconds: float) -> Phase | None:
    """Phase at a time after the start of the injection; None between two phases.

    Before 15 s no contrast agent has come to the aorta; then the clock is wrong.
    """
    if 15 <= seconds < 45:
        return "arterial"
    if 55 <= seconds <= 90:
        return "venous"
    return "delayed" if seconds > 120 else None


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


def _plain(text: str) -> str:
    """Lower case, without accents; separators become spaces, but "C-" and "w/o" stay."""
    split = unicodedata.normalize("NFKD", text.casefold())
    bare = unicodedata.normalize("NFKC", re.sub(r"[\u0300-\u036f]", "", split))
    spaced = re.sub(r"(?<!\d)\.|\.(?!\d)|[_,;:–()\[\]]+|(?<!\bc)-", " ", bare)
    return re.sub(r"\s+", " ", spaced).strip()


def _seconds(words: str) -> float | None:
    for pattern, factor in ((SECONDS, 1), (MINUTES, 60), (AFTER_DELAY, 1)):
        if match := re.search(pattern, words):
            return factor * float(match[1])
    return None


def _key(text: str) -> str:
    """Descriptions differ in case and blanks where people copy them."""
    return " ".join(text.replace("\\", "/").strip("/").split()).casefold()
