"""From the two phases of a patient to the status: the whole chain, as far as there are networks."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, predict
from core.commands.shards import shard_of
from core.config import fingerprint
from core.datasets.channels import Phase
from core.errors import InputError
from core.infer.load import Run
from core.io.paths import Skipped
from core.io.scans import read_grid
from core.report.cases import CASE_PAGE
from core.screening.pairs import Pair
from core.screening.scan_pair import scan_pair
from core.volume import canonical, same_grid
from lnmet.case_page import case_page
from lnmet.config import InferConfig
from lnmet.examination import (
    Examiner,
    details_of,
    digests_of,
    require_single,
    scans_of,
    summary_of,
    with_attention,
)
from lnmet.identification import config as identification
from lnmet.identification.infer import load_identifier
from lnmet.infer import classes_of, examinations, names_of, require_organs, wanted_phases
from lnmet.intermediates import write_intermediates, write_nodes
from lnmet.label_files import maps_of
from lnmet.networks import Runs, load_system, open_runs
from lnmet.organ_source import Source, organ_source
from lnmet.recipes import config_class
from lnmet.registration.config import RegistrationConfig
from lnmet.stage_page import NODE_PICTURES, node_pictures, stage_page
from lnmet.status import config as status
from lnmet.status.answer import Stager, load_stager, open_networks
from lnmet.status.config import StatusConfig
from lnmet.status.methods import NODES, NODES_NO_ATTENTION
from lnmet.tumor_masks import TumorMasks, tumor_masks

COMMAND = "lnmet stage"


def stage(
    inputs: cli.Paths = (),
    registration: RegistrationConfig = RegistrationConfig(),  # noqa: B008 - frozen
    *,
    out: Path,
    runs: cli.Runs = (),
    arterial: Path | None = None,
    venous: Path | None = None,
    registered: bool = False,
    organs: Path | None = None,
    label_map: str = "lnmet",
    pdac: Path | None = None,
    held_out: bool = False,
    anonymous: bool = False,
    allow_unfinished: bool = False,
    shard: str | None = None,
    choices: Annotated[
        cli.Choices,
        cli.Overrides(
            infer=InferConfig, identify=identification.InferConfig, status=status.InferConfig
        ),
    ] = None,
) -> int:
    """Tell the status of lymph nodes of new patients: register, segment, identify, decide.

    A stage without a trained network is left out, and so is what needs it; results and report say
    which. Whoever has the output of a stage already gives it instead of a network: organ masks, a
    radiologist's mask of the tumor, phases that lie on each other.

    Args:
      inputs: data sets (nnU-Net raw, MSD) or folders with CASE_0000 (arterial) and CASE_0001
        (venous); DICOM studies; or the arterial and then the venous scan of one patient.
      registration: of phases that are not registered.
      out: gets results.json, report.html and cases/<id>/: prediction.json, nodes.csv, label maps,
        the registered arterial phase, the attention map, pictures, and a report.html to scroll
        through both phases.
      runs: trained networks of any kind; several folds of one are averaged.
      arterial: scan of one patient, NIfTI file or DICOM folder, instead of inputs.
      venous: its venous scan.
      registered: the phases lie on each other already.
      organs: organs and vessels, where no run segments them: a label map, label maps
        <case>.nii.gz, or a model folder of nnU-Net.
      label_map: what the ids of these maps mean, as for `lnmet prepare`.
      pdac: masks of the tumor, where no run segments it: one, or <case>.nii.gz of each case.
      held_out: of the data sets of the runs, take the cases that none of these trained on.
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.
      choices: override the runs': "infer.threshold", "identify.threshold", "status.threshold".

    Returns:
      0 if every examination went through, 1 if some failed; each failure has its line in
      results.json.

    Raises:
      InputError: nothing to look at, runs that do not belong together, or two sources of one stage.
    """
    taken = shard_of(shard)
    of_status = [path for path in runs if config_class(path) is StatusConfig]
    opened = open_runs(
        [path for path in runs if path not in of_status], allow_unfinished=allow_unfinished
    )
    networks = open_networks(of_status, allow_unfinished=allow_unfinished)
    every: list[Run] = [*opened.all, *(run for of_one in networks.values() for run in of_one)]
    source = None if organs is None else organ_source(organs, label_map)
    masks = None if pdac is None else tumor_masks(pdac)
    _require_one_source(opened, source, masks)
    require_organs(opened, source)
    wanted = wanted_phases(opened, source)
    wanted |= {phase for run in every for phase in run.cfg.data.phases}
    pairs, skipped = _examinations(inputs, every, arterial, venous, held_out, wanted)
    require_single([organs, pdac], pairs)
    mesh = sharding.mesh()
    system = load_system(opened.segmentation, mesh, choices or {})
    has_attention = "nodes" not in system or system["nodes"].cfg.model.attention
    rule = NODES if has_attention else NODES_NO_ATTENTION
    identifying = opened.identification
    examiner = Examiner(
        system,
        load_identifier(identifying, mesh, choices or {}) if identifying else None,
        source,
        masks,
        registration,
    )
    stager = load_stager(networks, mesh, choices or {}, rule=rule)
    if registered:
        pairs = [replace(pair, is_registered=True) for pair in pairs]
    return predict(
        taken.of(pairs),
        partial(_staged, examiner, stager, wanted, anonymous, registered),
        out,
        Job(
            command=COMMAND,
            runs=every,
            choices=choices or {},
            options={
                "anonymous": anonymous,
                "organs": organs,
                "label_map": label_map,
                "pdac": pdac,
                "registered": registered,
                "registration": fingerprint(registration),
            },
            facts={
                "command": COMMAND,
                "networks": names_of(opened),
                "status_networks": list(networks),
                "phases": sorted(wanted),
                "classes": classes_of(opened, source),
                "without_network": without_network(opened, networks, source, masks),
            },
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=stage_page,
        paths=lambda pair: [
            *(scan.path for scan in pair.scans.values()),
            *maps_of([organs, pdac], pair.id),
        ],
        summary=lambda row: f"{row['decision']}; {summary_of(row)}",
        shard=taken,
    )


def without_network(
    runs: Runs,
    networks: Mapping[str, Sequence[Run[StatusConfig]]],
    source: Source | None,
    masks: TumorMasks | None,
) -> list[str]:
    """Stages that nobody can do: no network was given, nor what it would have said."""
    targets = {run.cfg.data.target for run in runs.segmentation}
    can = {
        "organs and vessels": "organs" in targets or source is not None,
        "tumor": "pdac" in targets or masks is not None,
        "lymph nodes": "nodes" in targets,
        "identification": bool(runs.identification),
        "status": bool(networks),
    }
    return [name for name, is_possible in can.items() if not is_possible]


def _require_one_source(runs: Runs, source: Source | None, masks: TumorMasks | None) -> None:
    given = {"organs": source is not None, "pdac": masks is not None}
    for run in runs.segmentation:
        target = run.cfg.data.target
        if given.get(target):
            raise InputError(
                f"segments what is given with --{target} too",
                path=run.path,
                hint="leave one of them out",
            )


def _examinations(
    inputs: Sequence[Path],
    runs: Sequence[Run],
    arterial: Path | None,
    venous: Path | None,
    held_out: bool,
    wanted: frozenset[Phase],
) -> tuple[list[Pair], list[Skipped]]:
    """As of `lnmet segment`; or two scans, which are the arterial and the venous one."""
    is_named = arterial is not None or venous is not None
    if len(inputs) == 2 and not (held_out or is_named) and (pair := scan_pair(inputs)):
        return [pair], []
    return examinations(inputs, runs, arterial, venous, held_out, wanted)


def _staged(
    examiner: Examiner,
    stager: Stager,
    wanted: frozenset[Phase],
    anonymous: bool,
    registered: bool,
    pair: Pair,
    folder: Path,
) -> Answer:
    if registered:
        _require_one_grid(pair)
    # Of two phases both are brought together, on the venous grid, whatever the networks see.
    pair = pair.seen_in(wanted) if wanted and len(pair.scans) == 1 else pair
    seen = wanted | pair.scans.keys()
    examined = with_attention(examiner(pair, seen))
    row = examiner.row(pair, examined, folder, anonymous)
    told = stager(examined, row["largest_positive_node_mm3"])
    row["files"] += [
        *write_intermediates(folder, pair, examined),
        *write_nodes(folder, examined),
    ]
    if (picture := node_pictures(examined)) is not None:
        atomic.write_bytes(folder / NODE_PICTURES, picture)
    notes = "; ".join(filter(None, (row["note"], told.note)))
    row = {**told.row(), **row, "note": notes, "page": CASE_PAGE}
    atomic.write_text(folder / CASE_PAGE, case_page(pair.id, examined, row))
    return Answer(
        row, digests_of(pair, examined, seen), details_of(examined), scans_of(pair, examined)
    )


def _require_one_grid(pair: Pair) -> None:
    grids = [canonical(read_grid(scan)) for scan in pair.scans.values()]
    if any(not same_grid(grids[0], grid) for grid in grids):
        raise InputError(
            "lie on two grids, and --registered says that they lie on each other",
            path=pair.path,
            hint="leave it out, and they are registered",
        )
