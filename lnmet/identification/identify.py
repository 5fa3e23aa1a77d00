"""Asking which annotated nodes are metastatic, as Table IV does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from core import cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.shards import shard_of
from core.commands.sources import digest
from core.errors import InputError
from core.infer.load import Run
from core.io.paths import Skipped, find_all
from core.preprocess.appearance import appearance_of
from lnmet.cases import LabelledCase, read_cases
from lnmet.identification.config import IdentificationConfig, InferConfig
from lnmet.identification.infer import SECTION, Identifier, load_identifier
from lnmet.identification.page import identification_page
from lnmet.labels import METASTATIC
from lnmet.networks import open_runs
from lnmet.nodes import annotated
from lnmet.segmentation import Grids

COMMAND = "lnmet identify"


@dataclass(frozen=True)
class Examination:
    """An annotated case.

    Args:
      id: unique among all.
      case: with both phases and the label.
    """

    id: str
    case: LabelledCase

    @property
    def path(self) -> Path:
        """File of the venous phase, or of the only one."""
        return self.case.image


def identify(
    inputs: cli.Paths,
    *,
    runs: cli.Runs,
    out: Path,
    held_out: bool = False,
    allow_unfinished: bool = False,
    shard: str | None = None,
    choices: Annotated[cli.Choices, cli.Overrides(identify=InferConfig)] = None,
) -> int:
    """Tell which annotated nodes are metastatic: Table IV.

    Args:
      inputs: data sets (nnU-Net raw, MSD) whose labels name lymph nodes and metastatic ones.
      runs: of a recipe that identifies nodes; several folds are averaged.
      out: gets results.json, report.html and cases/<id>/prediction.json.
      held_out: of one data set, take the cases that the runs did not train on.
      allow_unfinished: also use runs that have not reached their end.
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.
      choices: override the runs', "identify.threshold" → probability from which a node is
        metastatic.

    Returns:
      0 if every case was answered, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: no such data set or run, or one that knows no metastatic nodes.
    """
    taken, opened = shard_of(shard), _opened(runs, allow_unfinished)
    if held_out:
        examinations, skipped = held_out_of(inputs, opened, _by_id), []
    else:
        examinations, skipped = find_all(inputs, _examinations)
    mesh = sharding.mesh()
    identifier = load_identifier(opened, mesh, choices or {})
    return predict(
        taken.of(examinations),
        partial(_identified, identifier),
        out,
        Job(
            command=COMMAND,
            runs=opened,
            choices=choices or {},
            options={},
            facts={
                "command": COMMAND,
                "networks": identifier.cfg.data.target,
                f"{SECTION}.threshold": identifier.cfg.infer.threshold,
            },
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=identification_page,
        paths=lambda examination: examination.case.files,
        summary=_summary,
        shard=taken,
    )


def _opened(paths: Sequence[Path], allow_unfinished: bool) -> Sequence[Run[IdentificationConfig]]:
    opened = open_runs(paths, allow_unfinished=allow_unfinished)
    if opened.segmentation:
        raise InputError(
            "segments, and tells no metastatic nodes",
            path=opened.segmentation[0].path,
            hint="give runs that identify nodes alone",
        )
    return opened.identification


def _examinations(data: Path) -> tuple[list[Examination], list[Skipped]]:
    """Annotated cases of a data set."""
    read = read_cases(data)
    if not all(METASTATIC in case.annotated for case in read.cases):
        raise InputError(
            "names no metastatic lymph nodes",
            path=data,
            hint="give them a label of that name in dataset.json",
        )
    return [Examination(case.id, case) for case in read.cases], list(read.skipped)


def _by_id(data: Path) -> dict[str, Examination]:
    return {examination.id: examination for examination in _examinations(data)[0]}


def _identified(identifier: Identifier, examination: Examination, folder: Path) -> Answer:
    case = examination.case
    if absent := [phase for phase in identifier.phases if phase not in case.phases]:
        raise InputError(f"has no {absent[0]} phase", path=case.image)
    images, label = case.read()
    volumes = dict(zip(case.phases, images, strict=True))
    nodes = annotated(label.array)
    grids = Grids(volumes, identifier.cfg.prepare)
    probabilities = identifier([grids.image(phase) for phase in identifier.phases], nodes.ids)
    counts = np.bincount(nodes.ids.ravel(), minlength=len(probabilities) + 1)[1:]
    details = [
        {
            "is_metastatic": bool(kind),
            "probability": float(probability),
            "volume_mm3": float(count * label.voxel_mm3),
        }
        for kind, probability, count in zip(nodes.is_metastatic, probabilities, counts, strict=True)
    ]
    row = {
        "decision": "identified",
        "num_nodes": len(details),
        "num_metastatic": int(nodes.is_metastatic.sum()),
        "num_called_metastatic": sum(map(identifier.is_positive, probabilities)),
    }
    venous = volumes.get("venous") or images[0]
    scans = [(case.image, appearance_of(venous))]
    return Answer(row, [digest(venous.array)], {"nodes": details}, scans)


def _summary(row: Mapping[str, Any]) -> str:
    return f"{row['num_called_metastatic']} of {row['num_nodes']} nodes called metastatic"
