"""Segmenting new examinations with trained networks: from files to organs, tumor and nodes."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from jaxtyping import UInt8

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.prepare import digest
from core.errors import InputError
from core.infer.load import Run
from core.io import nifti
from core.io.labels import require_same_grid
from core.io.paths import Skipped, find_all
from core.io.scans import read_scan, write_segmentation
from core.volume import Volume, canonical, same_grid
from lnmet.cases import OrganMaps, organ_maps, read_cases
from lnmet.config import Config, InferConfig, Phase
from lnmet.labels import NAMES, PDAC
from lnmet.networks import System, load_system, open_runs
from lnmet.organ_labels import to_organs
from lnmet.pairs import Pair, find_pairs, pair_of
from lnmet.report import overlay, segmentation_page
from lnmet.segmentation import segment_volumes


def segment(
    inputs: cli.Paths = (),
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
    choices: Annotated[cli.Choices, cli.Overrides(infer=InferConfig)] = None,
) -> int:
    """Segment new examinations: organs and vessels, tumor, lymph nodes, as far as runs are given.

    Args:
      inputs: folders with CASE_0000 (arterial) and CASE_0001 (venous), or single venous scans.
      runs: trained networks; several folds of one are averaged.
      out: gets results.json, report.html and cases/<id>/ with segmentations and overlays.
      arterial: scan of one patient, NIfTI file or DICOM folder, instead of inputs.
      venous: its venous scan, on whose grid the answer is given.
      organs: label maps of organs and vessels, where no run segments them: <case>.nii.gz.
      label_map: what the ids of these maps mean, as for `lnmet prepare`.
      held_out: of one data set, take the cases that the runs did not train on.
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the runs', "infer.threshold" → probability.

    Returns:
      0 if every examination was segmented, 1 if some failed; each failure has its line in
      results.json.

    Raises:
      InputError: nothing to segment, runs that do not belong together, or no organs for attention.
    """
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    maps = None if organs is None else organ_maps(organs, label_map)
    _require_organs(opened, maps)
    mesh = sharding.mesh()
    pairs, skipped = _pairs(inputs, opened, arterial, venous, held_out)
    system = load_system(opened, mesh, choices or {})
    return predict(
        pairs,
        partial(_segmented, system, maps, anonymous),
        out,
        Job(
            command="lnmet segment",
            runs=opened,
            choices=choices or {},
            options={"anonymous": anonymous, "organs": organs, "label_map": label_map},
            facts={"networks": _networks(opened)},
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=segmentation_page,
        summary=_summary,
    )


def _pairs(
    inputs: Sequence[Path],
    runs: Sequence[Run[Config]],
    arterial: Path | None,
    venous: Path | None,
    held_out: bool,
) -> tuple[list[Pair], list[Skipped]]:
    if venous is None and arterial is not None:
        raise InputError("--arterial needs --venous beside it")
    if (venous is None) is not bool(inputs):
        raise InputError("give folders to segment, or --arterial and --venous of one patient")
    if venous is not None:
        return [pair_of(arterial, venous)], []
    if held_out:
        return held_out_of(inputs, runs, _annotated), []
    return find_all(inputs, find_pairs)


def _annotated(data: Path) -> dict[str, Pair]:
    """Examinations of a data set by case id."""
    pairs, _ = find_pairs(data / "imagesTr")
    cases = {case.image.resolve(): case.id for case in read_cases(data).cases}
    return {cases[p.path.resolve()]: p for p in pairs if p.path.resolve() in cases}


def _require_organs(runs: Sequence[Run[Config]], maps: OrganMaps | None) -> None:
    targets = {run.cfg.data.target for run in runs}
    needing = [run for run in runs if run.cfg.model.attention]
    if needing and maps is None and "organs" not in targets:
        raise InputError(
            "needs organs to make an attention map of",
            path=needing[0].path,
            hint="give an organs run too, or --organs with label maps",
        )


def _networks(runs: Sequence[Run[Config]]) -> str:
    """What answers, as Table V calls it."""
    names = []
    for run in runs:
        target = run.cfg.data.target
        plain = target == "nodes" and not run.cfg.model.attention
        names.append("nodes without attention" if plain else target)
    return " + ".join(dict.fromkeys(names))


def _segmented(
    system: System, maps: OrganMaps | None, anonymous: bool, pair: Pair, folder: Path
) -> Answer:
    volumes = read_phases(pair, system)
    reference = volumes.get("venous") or volumes["arterial"]
    known = None if maps is None else _known_organs(maps, pair, reference)
    seen = segment_volumes(volumes, system, known)
    label = reference.with_array(seen.label)
    scan = pair.reference
    written = write_segmentation(folder, scan, label, NAMES, anonymous=anonymous)
    atomic.write_bytes(folder / "overlay.png", overlay(reference, seen.label, seen.attention))
    largest = max((node.volume_mm3 for node in seen.nodes), default=0.0)
    row = {
        "decision": "segmented",
        "num_nodes": len(seen.nodes) if "nodes" in system else None,
        "nodes_ml": sum(node.volume_mm3 for node in seen.nodes) / 1000,
        "largest_node_mm3": largest,
        "pdac_ml": np.count_nonzero(seen.label == PDAC) * reference.voxel_mm3 / 1000,
        "files": [path.name for path in written.files],
        "note": written.note,
    }
    details = {"nodes": [node._asdict() for node in seen.nodes]}
    return Answer(row, [digest(reference.array)], details)


def read_phases(pair: Pair, system: System) -> dict[Phase, Volume]:
    """Canonical volumes of the phases that the networks want, on one grid.

    Raises:
      InputError: a phase is missing, or lies on another grid.
    """
    wanted: set[Phase] = {phase for segmenter in system.values() for phase in segmenter.phases}
    if absent := wanted - pair.scans.keys():
        raise InputError(f"has no {min(absent)} phase, which the networks want", path=pair.path)
    volumes: dict[Phase, Volume] = {
        phase: canonical(read_scan(pair.scans[phase])) for phase in sorted(wanted)
    }
    first, *others = volumes.values()
    for other in others:
        if not same_grid(first, other):
            raise InputError("the phases lie on different grids", path=pair.path)
    return volumes


def _known_organs(maps: OrganMaps, pair: Pair, reference: Volume) -> UInt8[np.ndarray, "d h w"]:
    path = maps.of(pair.id)
    label = canonical(nifti.read_label(path))
    return to_organs(require_same_grid(reference, label, pair.path, path).array, maps.label_map)


def _summary(row: Mapping[str, Any]) -> str:
    found = "" if row["num_nodes"] is None else f"{row['num_nodes']} nodes, "
    return f"{found}{row['nodes_ml']:.1f} ml; tumor {row['pdac_ml']:.1f} ml"
