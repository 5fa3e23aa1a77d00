"""Segmenting new examinations with trained networks: from files to organs, tumor and nodes."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.prepare import digest
from core.config import fingerprint
from core.errors import InputError
from core.io.paths import Skipped, find_all
from core.io.scans import read_scan, write_segmentation
from core.volume import Volume, canonical
from lnmet.cases import read_cases
from lnmet.config import InferConfig, Phase
from lnmet.identification import config as identification
from lnmet.identification.infer import Identifier, load_identifier
from lnmet.labels import METASTATIC, NAMES, PDAC, PREDICTED
from lnmet.networks import Runs, System, load_system, open_runs
from lnmet.organ_source import Source, organ_source
from lnmet.pairs import Pair, find_pairs, pair_of
from lnmet.phases import read_phases
from lnmet.registration.config import RegistrationConfig
from lnmet.report import overlay, segmentation_page
from lnmet.segmentation import Segmented, segment_volumes


def segment(
    inputs: cli.Paths = (),
    registration: RegistrationConfig = RegistrationConfig(),  # noqa: B008 - frozen
    *,
    runs: cli.Runs,
    out: Path,
    arterial: Path | None = None,
    venous: Path | None = None,
    organs: Path | None = None,
    label_map: str = "lnmet",
    held_out: bool = False,
    anonymous: bool = False,
    allow_unfinished: bool = False,
    choices: Annotated[
        cli.Choices, cli.Overrides(infer=InferConfig, identify=identification.InferConfig)
    ] = None,
) -> int:
    """Segment new examinations: organs and vessels, tumor, lymph nodes, as far as runs are given.

    With a run that identifies nodes, those that it calls metastatic have a label of their own.

    The answer is given on the grid of the venous phase; where all networks see the arterial one
    alone, on that.

    Args:
      inputs: data sets (nnU-Net raw, MSD) or folders with CASE_0000 (arterial) and CASE_0001
        (venous), which are registered; DICOM studies, in which both phases are found; or single
        scans, venous unless the networks see the arterial phase alone.
      registration: of phases that are not registered.
      runs: trained networks; several folds of one are averaged.
      out: gets results.json, report.html and cases/<id>/ with segmentations and overlays.
      arterial: scan of one patient, NIfTI file or DICOM folder, instead of inputs.
      venous: its venous scan.
      organs: organs and vessels, where no run segments them: label maps <case>.nii.gz, or a model
        folder of nnU-Net.
      label_map: what the ids of these maps mean, as for `lnmet prepare`.
      held_out: of the data sets of the runs, take the cases that these did not train on.
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the runs': "infer.threshold" → probability of a node's voxel,
        "identify.threshold" → probability from which a node is metastatic.

    Returns:
      0 if every examination was segmented, 1 if some failed; each failure has its line in
      results.json.

    Raises:
      InputError: nothing to segment, runs that do not belong together, no organs for attention, or
        no nodes to identify.
    """
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    source = None if organs is None else organ_source(organs, label_map)
    _require_organs(opened, source)
    mesh = sharding.mesh()
    wanted = wanted_phases(opened, source)
    pairs, skipped = _pairs(inputs, opened, arterial, venous, held_out, wanted)
    system = load_system(opened.segmentation, mesh, choices or {})
    identifying = opened.identification
    identifier = load_identifier(identifying, mesh, choices or {}) if identifying else None
    return predict(
        [pair.seen_in(wanted) for pair in pairs],
        partial(_segmented, system, identifier, source, wanted, registration, anonymous),
        out,
        Job(
            command="lnmet segment",
            runs=opened.all,
            choices=choices or {},
            options={
                "anonymous": anonymous,
                "organs": organs,
                "label_map": label_map,
                "registration": fingerprint(registration),
            },
            facts={
                "networks": _networks(opened),
                "phases": sorted(wanted),
                "classes": _classes(opened, source),
            },
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=segmentation_page,
        paths=lambda pair: [scan.path for scan in pair.scans.values()],
        summary=_summary,
    )


def _pairs(
    inputs: Sequence[Path],
    runs: Runs,
    arterial: Path | None,
    venous: Path | None,
    held_out: bool,
    wanted: frozenset[Phase],
) -> tuple[list[Pair], list[Skipped]]:
    if venous is None and arterial is not None and "venous" in wanted:
        raise InputError("--arterial needs --venous beside it")
    is_named = arterial is not None or venous is not None
    if is_named is bool(inputs):
        raise InputError("give folders to segment, or --arterial and --venous of one patient")
    if is_named:
        return [pair_of(arterial, venous)], []
    if held_out:
        return held_out_of(inputs, runs.all, _annotated), []
    return find_all(inputs, find_pairs)


def _annotated(data: Path) -> dict[str, Pair]:
    """Examinations of a data set by case id."""
    pairs, _ = find_pairs(data)
    cases = {case.image.resolve(): case.id for case in read_cases(data).cases}
    return {cases[p.path.resolve()]: p for p in pairs if p.path.resolve() in cases}


def _require_organs(runs: Runs, source: Source | None) -> None:
    targets = {run.cfg.data.target for run in runs.segmentation}
    if runs.identification and "nodes" not in targets:
        raise InputError(
            "tells which nodes are metastatic, and no run segments any",
            path=runs.identification[0].path,
            hint="give a nodes run too; annotated nodes are for lnmet identify",
        )
    needing = [run for run in runs.segmentation if run.cfg.model.attention]
    if needing and source is None and "organs" not in targets:
        raise InputError(
            "needs organs to make an attention map of",
            path=needing[0].path,
            hint="give an organs run too, or --organs",
        )


def wanted_phases(runs: Runs, source: Source | None) -> frozenset[Phase]:
    """Phases that networks see, those that segment organs for them among these."""
    seen: set[Phase] = {phase for run in runs.all for phase in run.cfg.data.phases}
    return frozenset(seen.union(source.phases if source else ()))


def _classes(runs: Runs, source: Source | None) -> list[str]:
    """Names of what the label maps tell of."""
    ids = set(source.annotated if source else ())
    for run in runs.segmentation:
        ids |= PREDICTED[run.cfg.data.target]
    if runs.identification:
        ids.add(METASTATIC)
    return [NAMES[id_] for id_ in sorted(ids)]


def _networks(runs: Runs) -> str:
    """What answers, as Table V calls it."""
    names = []
    for run in runs.segmentation:
        target = run.cfg.data.target
        plain = target == "nodes" and not run.cfg.model.attention
        names.append("nodes without attention" if plain else target)
    names += [run.cfg.data.target for run in runs.identification]
    return " + ".join(dict.fromkeys(names))


def _segmented(
    system: System,
    identifier: Identifier | None,
    source: Source | None,
    wanted: frozenset[Phase],
    registration: RegistrationConfig,
    anonymous: bool,
    pair: Pair,
    folder: Path,
) -> Answer:
    phases = read_phases(pair, wanted, registration)
    reference = phases.volumes.get("venous") or phases.volumes["arterial"]
    organs = source.organs(pair, phases.volumes) if source else None
    segmented = segment_volumes(phases.volumes, system, organs, identifier)
    label = reference.with_array(segmented.label)
    written = write_segmentation(folder, pair.reference, label, NAMES, anonymous=anonymous)
    picture = overlay(reference, segmented.label, segmented.attention)
    atomic.write_bytes(folder / "overlay.png", picture)
    row = {
        "decision": "segmented",
        **_measures(segmented, reference, system, identifier),
        "files": [path.name for path in written.files],
        "note": "; ".join(filter(None, (*pair.notes, *phases.notes, written.note))),
    }
    details = {
        "nodes": [node._asdict() for node in segmented.nodes],
        "registration": phases.quality,
    }
    return Answer(row, [digest(reference.array), *_digest_of_unseen(pair, wanted)], details)


def _digest_of_unseen(pair: Pair, wanted: frozenset[Phase]) -> list[str]:
    """Digest of a venous scan that no network sees, by which a run knows cases of two phases."""
    if "venous" in wanted or "venous" not in pair.scans:
        return []
    return [digest(canonical(read_scan(pair.scans["venous"])).array)]


def _measures(
    segmented: Segmented, grid: Volume, system: System, identifier: Identifier | None
) -> dict[str, Any]:
    nodes = segmented.nodes
    positive = [n for n in nodes if identifier and identifier.is_positive(n.probability)]
    return {
        "num_nodes": len(nodes) if "nodes" in system else None,
        "nodes_ml": sum(node.volume_mm3 for node in nodes) / 1000,
        "largest_node_mm3": max((node.volume_mm3 for node in nodes), default=0.0),
        "num_positive_nodes": len(positive) if identifier else None,
        "largest_positive_node_mm3": max((node.volume_mm3 for node in positive), default=0.0)
        if identifier
        else None,
        "pdac_ml": np.count_nonzero(segmented.label == PDAC) * grid.voxel_mm3 / 1000,
    }


def _summary(row: Mapping[str, Any]) -> str:
    found = "" if row["num_nodes"] is None else f"{row['num_nodes']} nodes, "
    return f"{found}{row['nodes_ml']:.1f} ml; tumor {row['pdac_ml']:.1f} ml"
