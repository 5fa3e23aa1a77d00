"""Every method's answer about patients: scores and decisions, with the truth beside them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core import json_io, sharding
from core.commands import results
from core.data.index import cases_of, read_index
from lnmet.data import Prepared
from lnmet.parts import parts_of
from lnmet.predictions import COMMAND
from lnmet.prepare import cache_name, open_cases
from lnmet.status.infer import load_system, open_runs, scan_of
from lnmet.status.methods import CT_REPORTED, NODES, NODES_NO_ATTENTION, name_of
from lnmet.status.nodes_alone import choose_threshold
from lnmet.status.volumes import LARGEST, segmented_volumes
from lnmet.study.plan import STATUS, Asked, Plan
from lnmet.study.signatures import RADIOMICS, of_radiomics

FILE = "answers.json"
SEGMENTED = {NODES: "segmented", NODES_NO_ATTENTION: "segmented-no-attention"}
"""Steps that segment, by the rule that tells the status from their nodes alone."""


def of_fold(plan: Plan, fold: int) -> Asked:
    """All cases of a study, with their parts in a fold."""
    cfg = plan.cfgs["status"]
    folder = plan.cache / cache_name(cfg.prepare)
    cases = [case for case in open_cases(folder) if case.status is not None]
    parts = parts_of(folder, [case.id for case in cases], fold, cfg.split)
    of_case = {id_: name for name, ids in parts._asdict().items() for id_ in ids}
    return Asked(cases, _files(folder), of_case, plan.features)


def of_data(folder: Path, features: Path) -> Asked:
    """All cases of a data set that no fold has seen, prepared into a folder of a cache."""
    cases = [case for case in open_cases(folder) if case.status is not None]
    return Asked(cases, _files(folder), {}, features)


def write_answers(
    plan: Plan,
    asked: Asked,
    fold: Path,
    segmented: Mapping[str, Path],
    folder: Path,
    *,
    chosen: Path | None = None,
) -> None:
    """Write answers.json: thresholds, and a row for each case that no network of a fold learned.

    Args:
      plan: the study.
      asked: cases.
      fold: folder of the fold, with its runs.
      segmented: folders of `lnmet segment` on these cases, by rule.
      folder: gets answers.json.
      chosen: answers.json of the fold's own cases, with its thresholds; None, choose them.
    """
    volumes = {rule: _volumes(path, asked) for rule, path in segmented.items()}
    thresholds: dict[str, float] = (
        _thresholds(asked, volumes) if chosen is None else json_io.read_json(chosen)["thresholds"]
    )
    judged = [case for case in asked.cases if asked.parts.get(case.id) != "train"]
    scores = {rule: of_case for rule, of_case in volumes.items() if rule in thresholds}
    for method, threshold, of_case in (
        *_of_networks(judged, fold, volumes.get(NODES, {})),
        *of_radiomics(plan, asked, judged, fold / RADIOMICS),
    ):
        scores[method], thresholds[method] = of_case, threshold
    rows = [_row(case, asked.parts.get(case.id), scores, thresholds) for case in judged]
    json_io.write_json(folder / FILE, {"thresholds": thresholds, "rows": rows})


def _files(folder: Path) -> dict[str, Sequence[Path]]:
    return {id_: entry.files for id_, entry in cases_of(read_index(folder)).items()}


def _volumes(segmented: Path, asked: Asked) -> dict[str, float]:
    """mm³ of the largest metastatic node by case; none where nobody told, or where it failed."""
    if not segmented.is_dir():
        return {}
    rows = results.read(segmented, COMMAND)["cases"]
    told = {Path(row["input"]).resolve() for row in rows if row.get(LARGEST) is not None}
    known = [c for c in asked.cases if any(file.resolve() in told for file in asked.files[c.id])]
    return dict(segmented_volumes([segmented], known, asked.files).of_case)


def _thresholds(asked: Asked, volumes: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Volume from which a patient is positive, by rule; chosen on the validation part."""
    parts = {name: asked.part(name) for name in ("val", "train")}
    chosen = {rule: choose_threshold(of_case, parts) for rule, of_case in volumes.items()}
    return {rule: threshold.volume_mm3 for rule, threshold in chosen.items() if threshold}


def _row(
    case: Prepared,
    part: str | None,
    scores: Mapping[str, Mapping[str, float]],
    thresholds: Mapping[str, float],
) -> dict[str, Any]:
    own = {method: of_case[case.id] for method, of_case in scores.items() if case.id in of_case}
    calls = {method: bool(score >= thresholds[method]) for method, score in own.items()}
    if case.ct_reported is not None:
        calls[CT_REPORTED] = case.ct_reported
    row = {"id": case.id, "patient": case.patient, "status": case.status, "part": part}
    return row | {"scores": own, "calls": calls}


def _of_networks(
    cases: Sequence[Prepared], fold: Path, volumes: Mapping[str, float]
) -> Iterator[tuple[str, float, dict[str, float]]]:
    """Of each network that tells the status: name, threshold, probability by case."""
    mesh = sharding.mesh()
    for name in STATUS:
        if not (fold / name).is_dir():
            continue
        system = load_system(open_runs([fold / name]), mesh)
        scores = {}
        for case in cases:
            is_told = case.id in volumes or not system.cfg.model.nodes
            if case.tumor is not None and is_told and not set(system.phases) - set(case.phases):
                scores[case.id] = system.of_scan(scan_of(case), volumes.get(case.id, 0.0))
        yield name_of(system.cfg.model), system.cfg.infer.threshold, scores
