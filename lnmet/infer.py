"""Segmenting new examinations with trained networks: from files to organs, tumor and nodes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.shards import shard_of
from core.config import fingerprint
from core.datasets.channels import Phase
from core.errors import InputError
from core.infer.load import Run
from core.io.paths import Skipped, find_all
from core.report.cases import CASE_PAGE
from core.screening.pairs import Pair, find_pairs, pair_of
from lnmet.case_page import case_page
from lnmet.cases import read_cases
from lnmet.config import InferConfig
from lnmet.examination import (
    Examiner,
    details_of,
    digests_of,
    require_single,
    scans_of,
    summary_of,
)
from lnmet.identification import config as identification
from lnmet.identification.infer import load_identifier
from lnmet.label_files import maps_of
from lnmet.labels import METASTATIC, NAMES, PREDICTED
from lnmet.networks import Runs, load_system, open_runs
from lnmet.organ_source import Source, organ_source
from lnmet.registration.config import RegistrationConfig
from lnmet.report import segmentation_page


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
    shard: str | None = None,
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
      out: gets results.json, report.html and cases/<id>/ with segmentations, overlays and a
        report.html to scroll through both phases.
      arterial: scan of one patient, NIfTI file or DICOM folder, instead of inputs.
      venous: its venous scan.
      organs: organs and vessels, where no run segments them: label maps <case>.nii.gz, or a model
        folder of nnU-Net.
      label_map: what the ids of these maps mean, as for `lnmet prepare`.
      held_out: of the data sets of the runs, take the cases that these did not train on.
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.
      choices: override the runs': "infer.threshold" → probability of a node's voxel,
        "identify.threshold" → probability from which a node is metastatic.

    Returns:
      0 if every examination was segmented, 1 if some failed; each failure has its line in
      results.json.

    Raises:
      InputError: nothing to segment, runs that do not belong together, no organs for attention, or
        no nodes to identify.
    """
    taken = shard_of(shard)
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    source = None if organs is None else organ_source(organs, label_map)
    require_organs(opened, source)
    mesh = sharding.mesh()
    wanted = wanted_phases(opened, source)
    pairs, skipped = examinations(inputs, opened.all, arterial, venous, held_out, wanted)
    require_single([organs], pairs)
    system = load_system(opened.segmentation, mesh, choices or {})
    identifying = opened.identification
    identifier = load_identifier(identifying, mesh, choices or {}) if identifying else None
    examiner = Examiner(system, identifier, source, None, registration)
    return predict(
        [pair.seen_in(wanted) for pair in taken.of(pairs)],
        partial(_segmented, examiner, wanted, anonymous),
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
                "networks": names_of(opened),
                "phases": sorted(wanted),
                "classes": classes_of(opened, source),
            },
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=segmentation_page,
        paths=lambda pair: [
            *(scan.path for scan in pair.scans.values()),
            *maps_of([organs], pair.id),
        ],
        summary=summary_of,
        shard=taken,
    )


def examinations(
    inputs: Sequence[Path],
    runs: Sequence[Run],
    arterial: Path | None,
    venous: Path | None,
    held_out: bool,
    wanted: frozenset[Phase],
) -> tuple[list[Pair], list[Skipped]]:
    """Examinations that a user names, and files that are none.

    Args:
      inputs: data sets, studies or scans.
      runs: what they are asked of; `held_out` takes the cases that these did not train on.
      arterial: scan of one patient, instead of inputs.
      venous: its venous scan.
      held_out: of one data set, the cases that were held out.
      wanted: phases that are looked at.

    Raises:
      InputError: neither, or both, of inputs and scans; or no venous scan where it is wanted.
    """
    if venous is None and arterial is not None and "venous" in wanted:
        raise InputError("--arterial needs --venous beside it")
    is_named = arterial is not None or venous is not None
    if is_named is bool(inputs):
        raise InputError("give folders to segment, or --arterial and --venous of one patient")
    if is_named:
        return [pair_of(arterial, venous)], []
    if held_out:
        return held_out_of(inputs, runs, _annotated), []
    return find_all(inputs, find_pairs)


def _annotated(data: Path) -> dict[str, Pair]:
    """Examinations of a data set by case id."""
    pairs, _ = find_pairs(data)
    cases = {case.image.resolve(): case.id for case in read_cases(data).cases}
    return {cases[p.path.resolve()]: p for p in pairs if p.path.resolve() in cases}


def require_organs(runs: Runs, source: Source | None) -> None:
    """Refuse networks that want organs, or nodes, which nothing gives them.

    Raises:
      InputError: attention without organs, or identification without nodes.
    """
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


def classes_of(runs: Runs, source: Source | None) -> list[str]:
    """Names of what the label maps tell of."""
    ids = set(source.annotated if source else ())
    for run in runs.segmentation:
        ids |= PREDICTED[run.cfg.data.target]
    if runs.identification:
        ids.add(METASTATIC)
    return [NAMES[id_] for id_ in sorted(ids)]


def names_of(runs: Runs) -> str:
    """What answers, as Table V calls it."""
    names = []
    for run in runs.segmentation:
        target = run.cfg.data.target
        plain = target == "nodes" and not run.cfg.model.attention
        names.append("nodes without attention" if plain else target)
    names += [run.cfg.data.target for run in runs.identification]
    return " + ".join(dict.fromkeys(names))


def _segmented(
    examiner: Examiner, wanted: frozenset[Phase], anonymous: bool, pair: Pair, folder: Path
) -> Answer:
    examined = examiner(pair, wanted)
    measured = examiner.row(pair, examined, folder, anonymous)
    row = {"decision": "segmented", **measured, "page": CASE_PAGE}
    atomic.write_text(folder / CASE_PAGE, case_page(pair.id, examined, row))
    return Answer(
        row, digests_of(pair, examined, wanted), details_of(examined), scans_of(pair, examined)
    )
