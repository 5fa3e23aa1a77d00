"""Screening new scans with a trained cascade: from files to a decision and a segmentation."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.prepare import digest
from core.datasets.pancreas import NAMES
from core.datasets.pancreas_cases import read_pancreas
from core.io.inventory import find_scans
from core.io.paths import Skipped, find_all
from core.io.scans import Scan, read_scan, write_segmentation
from core.preprocess.intensity import window, z_score
from core.volume import Volume, canonical
from s4c.cascade import Segmentation, segment
from s4c.config import DecisionConfig, InferConfig
from s4c.decision import Decision, decide, remove_outliers
from s4c.networks import Cascade, load_cascade, open_runs
from s4c.report import overlay, screening_page


def screen(
    inputs: cli.Paths,
    runs: cli.Runs,
    out: Path,
    *,
    held_out: bool = False,
    alone: bool = False,
    anonymous: bool = False,
    allow_unfinished: bool = False,
    choices: Annotated[
        cli.Choices, cli.Overrides(infer=InferConfig, decision=DecisionConfig)
    ] = None,
) -> int:
    """Screen new scans: NIfTI files, DICOM folders, or folders of either.

    Args:
      inputs: what to screen.
      runs: trained networks, one for each patch size; the largest is the coarse one.
      out: gets results.json, report.html and cases/<id>/ with segmentations and overlays.
      held_out: of the data sets of the runs, take the scans that these did not train on.
      alone: of two runs, the finer answers by itself where the coarse one saw a pancreas (the
        single-scale rows of Table 1).
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      choices: override the coarse run's, "decision.min_tumor_voxels" → voxels.

    Returns:
      0 if every scan was screened, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to screen, or runs that make no cascade.
    """
    opened = open_runs(runs, allow_unfinished=allow_unfinished)
    skipped: list[Skipped] = []
    if held_out:
        scans = held_out_of(inputs, opened, _annotated)
    else:
        scans, skipped = find_all(inputs, find_scans)
    mesh = sharding.mesh()
    cascade = load_cascade(opened, mesh, choices or {}, alone=alone)
    sides = [run.cfg.data.patch for run in opened]
    return predict(
        scans,
        partial(_screened, cascade, anonymous),
        out,
        Job(
            command="s4c screen",
            runs=opened,
            choices=choices or {},
            options={"alone": alone, "anonymous": anonymous},
            facts={"scale": _scale(sides, alone)},
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=screening_page,
        summary=_summary,
    )


def _annotated(data: Path) -> dict[str, Scan]:
    """Scans of a data set by case id."""
    scans = {}
    for case in read_pancreas(data).cases:
        candidates, _ = find_scans(case.image)
        scans[case.id] = max(candidates, key=lambda scan: len(scan.files))
    return scans


def _scale(sides: Sequence[int], alone: bool) -> str:
    """Which networks answer, as Table 1 calls them."""
    names = {64: "64³", 32: "32³", 16: "16³"}
    if alone or len(sides) == 1:
        return names.get(sides[-1], f"{sides[-1]}³")
    return "multi"


def _screened(cascade: Cascade, anonymous: bool, scan: Scan, folder: Path) -> Answer:
    volume = canonical(read_scan(scan))
    segmentation, decision = screen_volume(volume, cascade)
    label = volume.with_array(segmentation.label)
    written = write_segmentation(folder, scan, label, NAMES, anonymous=anonymous)
    atomic.write_bytes(folder / "overlay.png", overlay(volume, segmentation.label))
    roi = segmentation.roi
    row = {
        "decision": "PDAC" if decision.positive else "normal",
        "score": decision.score,
        "num_tumor_voxels": decision.num_tumor_voxels,
        "num_pancreas_voxels": decision.num_pancreas_voxels,
        "tumor_ml": decision.num_tumor_voxels * volume.voxel_mm3 / 1000,
        "pancreas_ml": decision.num_pancreas_voxels * volume.voxel_mm3 / 1000,
        "roi": None if roi is None else {"start": roi.start, "stop": roi.stop},
        "files": [path.name for path in written.files],
        "note": written.note,
    }
    return Answer(row, [digest(volume.array)])


def screen_volume(volume: Volume, cascade: Cascade) -> tuple[Segmentation, Decision]:
    """Segment one canonical scan in Hounsfield units, remove outliers, decide."""
    (coarse, *fine), cfg = cascade.predicts, cascade.cfg
    clean = partial(remove_outliers, cfg=cfg.decision)
    segmentation = segment(
        z_score(window(volume.array, *cfg.prepare.window_hu)),
        coarse,
        fine,
        roi_margin=cfg.infer.roi_margin,
        alone=cascade.alone,
        **({"clean": clean} if cfg.decision.filter_before_roi else {}),
    )
    segmentation = segmentation._replace(label=clean(segmentation.label))
    return segmentation, decide(segmentation.label, segmentation.tumor_prob, cfg.decision)


def _summary(row: Mapping[str, Any]) -> str:
    return f"{row['decision']}  score {row['score']:.2f}  tumor {row['tumor_ml']:.1f} ml"
