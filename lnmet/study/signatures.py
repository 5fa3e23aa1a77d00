"""The radiomics baselines of a fold: signatures that are fitted to its training part alone."""

import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core import json_io
from core.commands.steps import LeftOut
from core.data.cache import Stored
from core.datasets.channels import Phase
from core.errors import InputError
from lnmet.data import Prepared
from lnmet.labels import PDAC
from lnmet.radiomics.config import SignatureConfig
from lnmet.radiomics.logistic import Logistic
from lnmet.radiomics.names import feature_names
from lnmet.radiomics.run import Case, Measured, Scan, extract_all
from lnmet.radiomics.signature import fit, log_odds, read_signature, score, write_signature
from lnmet.radiomics.with_reading import fit_with_reading, score_with_reading
from lnmet.status.methods import RADIOMICS as METHOD
from lnmet.status.methods import RADIOMICS_CT
from lnmet.study.plan import Asked, Plan

logger = logging.getLogger(__name__)

RADIOMICS = "radiomics"
"""Step."""
PHASES: tuple[Phase, ...] = ("arterial", "venous")
SIGNATURE, WITH_CT = "signature.json", "with_ct_report.json"
THRESHOLD = 0.5
"""Probability from which a patient is positive, as of the networks."""


def write_signatures(plan: Plan, asked: Asked, folder: Path) -> None:
    """Fit to the training part of a fold: radiomics, and radiomics with the CT report.

    Raises:
      LeftOut: radiomics cannot be measured here, or nobody to learn from is measured.
    """
    try:
        measured = _measured(plan, asked.part("train"), asked.features)
        cases = [case for case in asked.part("train") if case.id in measured.features]
        features = measured.table([case.id for case in cases], PHASES)
        truth = np.array([bool(case.status) for case in cases], bool)
        signature = fit(features, truth, SignatureConfig(), names=feature_names(PHASES))
    except InputError as error:
        raise LeftOut(f"{error.message}; {error.hint}") from None
    write_signature(folder / SIGNATURE, signature)
    if all(case.ct_reported is not None for case in cases):
        reported = np.array([bool(case.ct_reported) for case in cases], bool)
        model = fit_with_reading(log_odds(signature, features), reported, truth, SignatureConfig())
        json_io.write_json(folder / WITH_CT, model._asdict())


def of_radiomics(
    plan: Plan, asked: Asked, cases: Sequence[Prepared], folder: Path
) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Of each signature of a fold: name, threshold, probability by case.

    Args:
      plan: the study.
      asked: cases of a fold, or of another data set.
      cases: of these, those that are judged.
      folder: of `write_signatures`; where it is not there, there is none.
    """
    if not (folder / SIGNATURE).is_file():
        return
    signature = read_signature(folder / SIGNATURE)
    try:
        measured = _measured(plan, cases, asked.features)
    except InputError as error:
        logger.warning("without answers of radiomics: %s; %s", error.message, error.hint)
        return
    known = [case for case in cases if case.id in measured.features]
    features = measured.table([case.id for case in known], PHASES)
    yield METHOD, THRESHOLD, _by_case(known, score(signature, features))
    is_read = np.array([case.ct_reported is not None for case in known], bool)
    if (folder / WITH_CT).is_file() and is_read.any():
        reported = np.array([bool(case.ct_reported) for case in known], bool)[is_read]
        odds = log_odds(signature, features[is_read])
        scores = score_with_reading(_read_logistic(folder / WITH_CT), odds, reported)
        read = [case for case, is_known in zip(known, is_read, strict=True) if is_known]
        yield RADIOMICS_CT, THRESHOLD, _by_case(read, scores)


def _measured(plan: Plan, cases: Sequence[Prepared], folder: Path) -> Measured:
    """Features of the cases with a tumor, which all folds share on disk.

    Raises:
      InputError: PyRadiomics is not installed, and a case is not measured yet.
    """
    spacing_mm = plan.cfgs["status"].prepare.spacing_mm
    with_tumor = [case for case in cases if case.tumor is not None]
    return extract_all(
        [
            Case(case.id, partial(_scan, case.image, case.label, case.phases, spacing_mm))
            for case in with_tumor
        ],
        folder,
        phases=PHASES,
        num_processes=os.cpu_count() or 1,
    )


def _scan(
    image: Stored, label: Stored, phases: Sequence[Phase], spacing_mm: tuple[float, float, float]
) -> Scan:
    hu = image[...]
    of_phase: dict[Phase, np.ndarray] = {p: hu[..., c] for c, p in enumerate(phases)}
    return Scan(of_phase, label[...] == PDAC, spacing_mm)


def _by_case(cases: Sequence[Prepared], scores: np.ndarray) -> dict[str, float]:
    return {case.id: float(s) for case, s in zip(cases, scores, strict=True)}


def _read_logistic(path: Path) -> Logistic:
    content: dict[str, Any] = json_io.read_json(path)
    return Logistic(np.array(content["weights"], float), content["intercept"], content["ridge"])
