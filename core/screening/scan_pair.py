"""Two scans that a user names one after the other: the arterial and the venous phase."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.datasets.channels import Phase
from core.errors import InputError
from core.io.dicom.identity import study_key
from core.io.scans import Scan
from core.screening.pairs import CHANNEL, CHANNELS, Pair, find_pairs, pair_of

NOTE = "the first scan is taken for the arterial phase, the second for the venous one"


def scan_pair(inputs: Sequence[Path]) -> Pair | None:
    """The examination whose arterial and venous scan two inputs are; None where they are not.

    Names of a data set of nnU-Net, CASE_0000 and CASE_0001, tell which is which, else the order
    does, and a note says so. Scans of two patients, as their names or headers tell, are no pair.
    """
    scans = [_single_scan(path) for path in inputs]
    if len(scans) != 2 or any(scan is None for scan in scans):
        return None
    first, second = (scan for scan in scans if scan is not None)
    told = [CHANNEL.fullmatch(scan.id) for scan in (first, second)]
    if told[0] and told[1]:
        phases: list[Phase] = [CHANNELS[match[2]] for match in told if match]
        if told[0][1] != told[1][1] or phases[0] == phases[1]:
            return None
        by_phase = dict(zip(phases, inputs, strict=True))
        return pair_of(by_phase["arterial"], by_phase["venous"])
    if _patient(first) and _patient(second) and _patient(first) != _patient(second):
        return None
    pair = pair_of(*inputs)
    return replace(pair, notes=(*pair.notes, NOTE))


def _single_scan(path: Path) -> Scan | None:
    """The scan that a path holds alone."""
    try:
        pairs, _ = find_pairs(path)
    except InputError:
        return None
    if len(pairs) != 1 or len(pairs[0].scans) != 1:
        return None
    return pairs[0].reference


def _patient(scan: Scan) -> str:
    """Hash of the patient of a DICOM series; "" where nothing tells."""
    return study_key(scan.frames[0].path).patient if scan.frames else ""
