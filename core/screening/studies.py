"""The studies of patients, one by one; a patient is screened when its turn comes."""

import itertools
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from core.io.scans import VolumeCache
from core.screening.patient import Screening


@dataclass
class Patient:
    """A patient's files on their way from screening to the decisions about their studies.

    Args:
      id: made of the name of the folder or file.
      path: of the folder, archive or image.
      work: folder for the index of headers and for what is unpacked.
      screening: of all files; None until the first study is worked on.
      volumes: what screening had to read.
    """

    id: str
    path: Path
    work: Path
    screening: Screening | None = None
    volumes: VolumeCache = field(default_factory=VolumeCache)


class Study(NamedTuple):
    """One study of a patient, what a decision is about; the newest has number 0."""

    id: str
    number: int
    patient: Patient

    @property
    def path(self) -> Path:
        """Of the patient."""
        return self.patient.path


class Studies(Collection[Study]):
    """Studies of patients, in turn: screening of a patient, as its first study, tells their number.

    Args:
      patients: with unique ids.
      before: number of studies by patient's id, where an earlier call knows it.
    """

    def __init__(self, patients: Sequence[Patient], before: Mapping[str, int]) -> None:
        self._patients, self._before = patients, before
        self._ids = {patient.id for patient in patients}

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, study: object) -> bool:
        return isinstance(study, Study) and study.id in self._ids

    def __iter__(self) -> Iterator[Study]:
        for patient in self._patients:
            with _kept_when_interrupted(patient.work):
                yield Study(patient.id, 0, patient)
                for number in range(1, self._num_studies(patient)):
                    yield Study(self._free_id(patient.id, number + 1), number, patient)
            patient.volumes = VolumeCache()

    def _num_studies(self, patient: Patient) -> int:
        if patient.screening is None:  # failed, or diagnosed by an earlier call
            return self._before.get(patient.id, 1)
        return 1 if patient.screening.num_patients > 1 else len(patient.screening.studies)

    def _free_id(self, id_: str, number: int) -> str:
        names = (f"{id_}-{n}" for n in itertools.count(number))
        free = next(name for name in names if name not in self._ids)
        self._ids.add(free)
        return free


@contextmanager
def _kept_when_interrupted(work: Path) -> Iterator[None]:
    """Around what fills a folder of indices and unpacked archives: an interrupted call goes on."""
    try:
        yield
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)
