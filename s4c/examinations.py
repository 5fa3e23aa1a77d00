"""What is screened: scans of any contrast phase, or the scans of an examination's phases."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.commands.predict import held_out_of
from core.datasets.channels import Phase
from core.datasets.label_names import LabelNames
from core.datasets.pancreas_cases import read_phase
from core.datasets.pancreas_layouts import PancreasData
from core.errors import InputError
from core.io.inventory import find_scans
from core.io.paths import Skipped, find_all
from core.io.scans import Scan
from core.screening.pairs import Pair, find_pairs, pair_of
from core.screening.scan_pair import scan_pair
from s4c.networks import Runs


@dataclass(frozen=True)
class Examination:
    """A patient's scans that are screened together.

    Args:
      id: unique among those found with it.
      scans: by contrast phase; None where networks look at scans of any phase.
      notes: how the scans were chosen, and what a reader must know about it.
    """

    id: str
    scans: Mapping[Phase | None, Scan]
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Path of its last scan, the venous one of two."""
        return list(self.scans.values())[-1].path


def examinations(
    inputs: Sequence[Path],
    runs: Runs,
    *,
    arterial: Path | None = None,
    venous: Path | None = None,
    held_out: bool = False,
    labels: LabelNames = LabelNames(),  # noqa: B008 - a tuple
) -> tuple[list[Examination], list[Skipped]]:
    """What a user names, and files that are not used.

    Networks of one phase look at the scans of that phase; two scans by themselves are the arterial
    and the venous one for networks of both.

    Args:
      inputs: files, DICOM folders or data sets.
      runs: by the phases that they look at.
      arterial: scan of one patient, instead of inputs.
      venous: its venous scan, likewise.
      held_out: of data sets, take the cases that the runs did not train on.
      labels: of these, what the user says that label names mean.

    Raises:
      InputError: nothing to screen, or scans of phases for networks that look at any.
    """
    named = arterial is not None or venous is not None
    if named is bool(inputs):
        raise InputError("give scans to screen, or --arterial and --venous of one patient")
    if named and None in runs:
        raise InputError("the runs look at scans of any phase: give the scan without a flag")
    if held_out and not named:
        return _held_out(inputs, runs, labels), []
    if None in runs:
        scans, skipped = find_all(inputs, find_scans)
        return [Examination(scan.id, {None: scan}) for scan in scans], skipped
    phases: list[Phase] = [phase for phase in runs if phase]
    if named:
        return _examined([pair_of(arterial, venous)], phases)
    if len(phases) == 2 and len(inputs) == 2 and (pair := scan_pair(inputs)):
        return _examined([pair], phases)
    pairs, skipped = find_all(inputs, find_pairs)
    examined, without = _examined(pairs, phases)
    return examined, [*skipped, *without]


def _examined(
    pairs: Sequence[Pair], phases: Collection[Phase]
) -> tuple[list[Examination], list[Skipped]]:
    """The scans that networks look at; examinations without any have failed already."""
    seen = [pair.seen_in(phases) for pair in pairs]
    without = [pair for pair in seen if not pair.scans.keys() & set(phases)]
    reason = f"no {' and no '.join(phases)} scan"
    return (
        [_examination(pair, phases) for pair in seen if pair not in without],
        [Skipped(pair.path, reason, is_broken=True) for pair in without],
    )


def _examination(pair: Pair, phases: Collection[Phase]) -> Examination:
    scans: dict[Phase | None, Scan] = {p: pair.scans[p] for p in phases if p in pair.scans}
    notes = [f"no {phase} scan" for phase in phases if phase not in scans]
    if len(phases) > 1 and not pair.is_told:
        notes.insert(0, f"taken for the {' and the '.join(map(str, scans))} phase")
    return Examination(pair.id, scans, (*pair.notes, *notes))


def _held_out(inputs: Sequence[Path], runs: Runs, labels: LabelNames) -> list[Examination]:
    """Cases that no run trained on; cases of one id are scans of one patient."""
    cases: dict[str, dict[Phase | None, Scan]] = {}
    for phase, of_phase in runs.items():
        read = {data.root: data for data in read_phase(inputs, phase, labels=labels)}
        by_root = {root: _annotated(data) for root, data in read.items()}
        for id_, scan in held_out_of(list(read), of_phase, by_root.__getitem__):
            cases.setdefault(id_, {})[phase] = scan
    return [
        Examination(id_, scans, tuple(f"no {phase} scan" for phase in runs if phase not in scans))
        for id_, scans in cases.items()
    ]


def _annotated(data: PancreasData) -> dict[str, tuple[str, Scan]]:
    """Id and scan of the cases of a data set, by the name that folds.json has for them."""
    cases = {}
    for case in data.cases:
        candidates, _ = find_scans(case.image)
        cases[case.id] = case.id, max(candidates, key=lambda scan: len(scan.files))
    return cases
