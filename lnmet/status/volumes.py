"""Volume of the largest metastatic node of every patient, and the run folder's word about it."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from core import json_io
from core.commands import results
from core.errors import InputError
from core.io import nifti
from core.io.volume_file import ENDINGS
from core.train.run_folder import METRICS
from core.volume import same_grid
from lnmet.data import Prepared
from lnmet.label_files import SEGMENTATION
from lnmet.labels import METASTATIC
from lnmet.predictions import COMMAND

logger = logging.getLogger(__name__)

VOLUMES = "volumes.json"
"""Of a run folder: what the network was told of the nodes of every case."""
LARGEST = "largest_positive_node_mm3"
"""In a row of results.json."""
HINT = "segment it with runs of nodes and identification, or train status-no-nodes"


class Volumes(NamedTuple):
    """Volumes of a run.

    Args:
      source: folders of `lnmet segment` that they are from; none, annotated nodes.
      of_case: mm³ of the largest metastatic node by case id, 0 without one.
      parts: how many cases were in which part of the training of the segmenting networks; "" is in
        none.
    """

    source: tuple[str, ...]
    of_case: Mapping[str, float]
    parts: Mapping[str, int]

    def note(self) -> dict[str, Any]:
        """Its entry in the manifest."""
        return {"source": self.source or "annotated nodes", "parts": dict(self.parts)}


def volumes_of(
    workdir: Path,
    nodes: Sequence[Path],
    cases: Sequence[Prepared],
    files: Mapping[str, Sequence[Path]],
    spacing_mm: Sequence[float],
) -> Volumes:
    """What a run is told of nodes, kept in its folder: a run that goes on is told the same.

    Args:
      workdir: RUN.
      nodes: the --out of `lnmet segment`, one or more that hold each case once; none, annotated
        nodes, or what the run that goes on was told.
      cases: all that the run learns from, chooses by or holds out.
      files: source files of each case by its id.
      spacing_mm: of the cases.

    Raises:
      InputError: a case whose volume is not known, or others than the run that goes on was told.
    """
    path = workdir / VOLUMES
    stored = Volumes(**json_io.read_json(path)) if _goes_on(path) else None
    if stored is not None and not nodes:
        return stored._replace(source=tuple(stored.source))
    told = segmented_volumes(nodes, cases, files) if nodes else _annotated(cases, spacing_mm)
    if stored is not None and dict(stored.of_case) != dict(told.of_case):
        raise InputError(
            "was told other volumes of nodes when it was started",
            path=workdir,
            hint="leave --nodes out to go on, or start a new run",
        )
    if stored is None and jax.process_index() == 0:
        json_io.write_json(path, told._asdict())
    return told


def _goes_on(path: Path) -> bool:
    return path.is_file() and (path.parent / METRICS).exists()


def _annotated(cases: Sequence[Prepared], spacing_mm: Sequence[float]) -> Volumes:
    """Of the annotated nodes, where every case tells metastatic ones from others."""
    untold = [case.id for case in cases if METASTATIC not in case.annotated]
    if untold:
        raise InputError(
            f"the volume of the largest metastatic node of case {untold[0]} is not known",
            hint="give --nodes, the --out of lnmet segment, or train status-no-nodes",
        )
    logger.warning(
        "volumes are those of annotated nodes, which tell the status itself; new patients have "
        "those of segmented ones: give --nodes for an honest estimate"
    )
    voxel_mm3 = float(np.prod(spacing_mm))
    largest = {
        case.id: float(case.nodes[case.nodes[:, 0] == 1, 4].max(initial=0)) * voxel_mm3
        for case in cases
    }
    return Volumes((), largest, {})


def segmented_volumes(
    nodes: Sequence[Path], cases: Sequence[Prepared], files: Mapping[str, Sequence[Path]]
) -> Volumes:
    """Volumes that `lnmet segment` measured.

    Args:
      nodes: its --out, one or more that hold each case once.
      cases: prepared.
      files: source files of each case by its id.

    Raises:
      InputError: a case is not there, is there twice, failed, or nobody identified its nodes.
    """
    rows = [row | {"out": out} for out in nodes for row in results.read(out, COMMAND)["cases"]]
    by_path: dict[Path, list[Mapping[str, Any]]] = {}
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_path.setdefault(Path(row["input"]).resolve(), []).append(row)
        by_id.setdefault(row["id"], []).append(row)
    largest, parts = {}, Counter()
    for case in cases:
        matched = [row for path in files[case.id] for row in by_path.get(path.resolve(), ())]
        # The same scan at another place is told by its case id and its grid.
        named = [row for row in by_id.get(case.id, ()) if _is_of(row, files[case.id])]
        row = _only(case.id, matched or named, nodes)
        largest[case.id] = float(row[LARGEST])
        parts[row.get("part") or ""] += 1
    if learned := parts["train"]:
        logger.warning(
            "volumes of %d of %d cases are by networks that learned from these cases",
            learned,
            len(cases),
        )
    return Volumes(tuple(str(out.resolve()) for out in nodes), largest, dict(parts))


def _is_of(row: Mapping[str, Any], files: Sequence[Path]) -> bool:
    """Whether the segmentation of a row lies on the grid of a source file."""
    path = row["out"] / "cases" / row["id"] / SEGMENTATION
    if not path.is_file():
        return False
    grid = nifti.read_grid(path)
    images = [file for file in files if file.name.endswith(ENDINGS) and file.is_file()]
    return any(same_grid(grid, nifti.read_grid(image)) for image in images)


def _only(
    case_id: str, rows: Sequence[Mapping[str, Any]], nodes: Sequence[Path]
) -> Mapping[str, Any]:
    """The one row about a case, with a volume.

    Raises:
      InputError: there is none, there are several, or it failed or was not identified.
    """
    if not rows:
        raise InputError(f"case {case_id} is not among the segmented", path=nodes[0], hint=HINT)
    if len(rows) > 1:
        raise InputError(
            f"case {case_id} is there {len(rows)} times",
            path=rows[-1]["out"],
            hint="give --nodes that hold each case once",
        )
    (row,) = rows
    if row["status"] != "done":
        raise InputError(f"{COMMAND} failed on case {case_id}", path=row["out"], hint=HINT)
    if row.get(LARGEST) is None:
        raise InputError(
            f"tells of case {case_id} no {LARGEST}: no run identified its nodes",
            path=row["out"],
            hint=HINT,
        )
    return row
