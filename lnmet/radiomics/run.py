"""Features of a cohort: cases in processes of their own, and each case's features in a file.

A case takes some seconds and a cohort an hour or two, so what is measured stays: the file of a case
keeps a digest of the voxels that it was measured on, and an equal digest is not measured again.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from core import json_io
from core.datasets.channels import Phase
from core.errors import InputError
from core.io.progress import Progress
from core.processes import in_processes
from lnmet.radiomics.features import Tumor, cut_tumor, phase_features
from lnmet.radiomics.names import feature_names

logger = logging.getLogger(__name__)

FORMAT = 1
"""Another number measures every case anew."""


class Scan(NamedTuple):
    """A patient's phases on one grid, and the tumor.

    Args:
      hu: (d, h, w) of each phase.
      mask: the tumor.
      spacing_mm: of the voxels, (D, H, W).
    """

    hu: Mapping[Phase, np.ndarray]
    mask: Bool[np.ndarray, "d h w"]
    spacing_mm: tuple[float, float, float]


class Case(NamedTuple):
    """A case before it is read.

    Args:
      id: unique in the cohort; its file is <id>.json.
      read: called in another process, so a function of a module, or a `partial` of one.
    """

    id: str
    read: Callable[[], Scan]


class Measured(NamedTuple):
    """Features of a cohort.

    Args:
      features: of each case by its id, values by name.
      failed: why a case has none, by its id.
    """

    features: Mapping[str, Mapping[str, float]]
    failed: Mapping[str, str]

    def table(self, ids: Sequence[str], phases: Sequence[Phase]) -> Float[np.ndarray, "n p"]:
        """Features of some cases, in the order of `feature_names(phases)`.

        Raises:
          InputError: a case has none.
        """
        names = feature_names(phases)
        for id_ in ids:
            if id_ not in self.features:
                why = self.failed.get(id_, "it was not measured")
                raise InputError(f"case {id_} has no radiomics features: {why}")
        rows = [[self.features[id_][name] for name in names] for id_ in ids]
        return np.array(rows, float).reshape(len(ids), len(names))


def extract(scan: Scan, phases: Sequence[Phase], *, case: str) -> dict[str, float]:
    """Features of a patient: 1,688 of each phase, named by `feature_names`.

    Raises:
      InputError: a phase is missing, the tumor cannot be measured, or PyRadiomics is not installed.
    """
    return _measure(_cut(scan, phases, case), case)


def extract_all(
    cases: Sequence[Case], out: Path, *, phases: Sequence[Phase], num_processes: int = 1
) -> Measured:
    """Features of a cohort, resumable; a case that cannot be measured keeps no other from it.

    Args:
      cases: of the cohort.
      out: folder of <id>.json; equal voxels are not measured again.
      phases: that are measured.
      num_processes: cases at a time; each holds the phases of one case.

    Raises:
      InputError: PyRadiomics is not installed, and a case is not measured yet.
    """
    work = partial(_features_of, out=out, phases=tuple(phases))
    features, failed = {}, {}
    with Progress("radiomics", unit="cases", total=len(cases)) as progress:
        results = in_processes(work, cases, num_processes)
        for case, result in zip(cases, results, strict=True):
            if isinstance(result, str):
                logger.warning("left out of radiomics: %s", result)
                failed[case.id] = result
            else:
                features[case.id] = result
            progress.add(1)
    return Measured(features, failed)


def _features_of(case: Case, *, out: Path, phases: Sequence[Phase]) -> dict[str, float] | str:
    """Features of a case, from its file or measured; or why there are none."""
    try:
        tumors = _cut(case.read(), phases, case.id)
    except InputError as error:
        return str(error)
    path, digest = out / f"{case.id}.json", _digest(tumors)
    if path.is_file():
        stored = json_io.read_json(path)
        if stored.get("digest") == digest:
            return {n: np.nan if v is None else v for n, v in stored["features"].items()}
    features = _measure(tumors, case.id)
    json_io.write_json(path, {"digest": digest, "features": features})
    return features


def _cut(scan: Scan, phases: Sequence[Phase], case: str) -> dict[Phase, Tumor]:
    for phase in phases:
        if phase not in scan.hu:
            raise InputError(f"case {case} has no {phase} phase", hint="leave the phase out")
    return {
        phase: cut_tumor(scan.hu[phase], scan.mask, scan.spacing_mm, case=case) for phase in phases
    }


def _measure(tumors: Mapping[Phase, Tumor], case: str) -> dict[str, float]:
    return {
        f"{phase}_{name}": value
        for phase, tumor in tumors.items()
        for name, value in phase_features(tumor, case=case).items()
    }


def _digest(tumors: Mapping[Phase, Tumor]) -> str:
    """Of all that the features depend on."""
    digest = hashlib.sha256(f"format {FORMAT}".encode())
    for phase, tumor in tumors.items():
        digest.update(f"{phase} {tumor.mask.shape} {[float(s) for s in tumor.spacing_mm]}".encode())
        digest.update(tumor.hu.tobytes())
        digest.update(tumor.mask.tobytes())
    return digest.hexdigest()
