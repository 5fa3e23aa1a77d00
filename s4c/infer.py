"""Screening new scans with a trained cascade: from files to a decision and a segmentation."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Real

from core import atomic, cli, sharding
from core.commands.predict import Answer, Job, predict
from core.commands.shards import shard_of
from core.commands.sources import digest
from core.datasets.channels import Phase
from core.datasets.pancreas import NAMES, NAMES_WITH_DUCT, pancreas_labels
from core.errors import InputError
from core.io.scans import Scan, read_scan, write_segmentation
from core.postprocess.components import keep_large
from core.preprocess.appearance import Appearance, appearance_of
from core.preprocess.intensity import window, z_score
from core.report.cases import CASE_PAGE
from core.volume import Volume, canonical
from s4c.cascade import Segmentation, by_votes, segment
from s4c.case_page import ShownScan, case_page, shown_scan
from s4c.classifier import config as classifier
from s4c.classifier.config import CLASSIFICATION, ClassifierConfig
from s4c.classifier.infer import load_classifier
from s4c.classifier.runs import is_own_choice, open_classifiers
from s4c.config import DecisionConfig, InferConfig
from s4c.decision import Decision, decide, fused, remove_outliers
from s4c.examinations import Examination, examinations
from s4c.grid import in_voxels, margins, network_grid, on_scan, seen, spacing_seen, voxel_mm3
from s4c.networks import Cascade, Runs, load_cascade, open_runs
from s4c.panorama import detections, write_answer
from s4c.recipes import config_class
from s4c.report import overlay, screening_page

BODY_HU = -300.0
"""What is denser is a body, where it hangs together: between air and fat."""
NETWORKS = {"resdsn": "", "unet3d": "3D U-Net", "vnet": "V-Net"}


def screen(
    inputs: cli.Paths = (),
    *,
    runs: cli.Runs,
    out: Path,
    arterial: Path | None = None,
    venous: Path | None = None,
    held_out: bool = False,
    labels: str | None = None,
    alone: bool = False,
    anonymous: bool = False,
    panorama: bool = False,
    allow_unfinished: bool = False,
    shard: str | None = None,
    choices: Annotated[
        cli.Choices,
        cli.Overrides(infer=InferConfig, decision=DecisionConfig, classify=classifier.InferConfig),
    ] = None,
) -> int:
    """Screen new scans: NIfTI files, DICOM folders, or folders of either.

    With runs of both contrast phases a patient is called if either phase is; of DICOM studies the
    two series are found, and files CASE_0000 and CASE_0001 are the arterial and the venous one.

    Args:
      inputs: what to screen.
      runs: trained networks, one for each patch size and phase; the largest is the coarse one. Or
        of each phase a coarse one and the classifier that learned from it, which then decides.
      out: gets results.json, report.html and cases/<id>/ with segmentations, overlays and a
        report.html to scroll through the scan, both phases side by side.
      arterial: scan of one patient, instead of inputs, for runs that look at phases.
      venous: its venous scan, likewise.
      held_out: of the data sets of the runs, take the scans that these did not train on.
      labels: with --held-out, what label names mean, as of `prepare`.
      alone: of two runs, the finer answers by itself where the coarse one saw a pancreas (the
        single-scale rows of Table 1).
      anonymous: write DICOM-SEG without the patient's tags.
      panorama: also write cases/<id>/panorama as the PANORAMA challenge takes it: a map of lesions
        with the likelihood of each, and that of the scan.
      allow_unfinished: also use runs that have not reached their end.
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.
      choices: override the coarse run's, "decision.min_tumor_voxels" → voxels, and the
        classifier's, "classify.threshold" → probability.

    Returns:
      0 if every scan was screened, 1 if some failed; each failure has its line in results.json.

    Raises:
      InputError: nothing to screen, runs that make no cascade, labels of no data set, or runs
        whose answers PANORAMA does not take.
    """
    if labels is not None and not held_out:
        raise InputError("--labels is for --held-out: no label is read without it")
    choices, taken = choices or {}, shard_of(shard)
    classifiers = [path for path in runs if config_class(path) is ClassifierConfig]
    segmenting = [path for path in runs if path not in classifiers]
    opened = open_runs(segmenting, allow_unfinished=allow_unfinished)
    if panorama:
        _require_answers_of_panorama(opened)
    deciding = open_classifiers(classifiers, opened, choices, allow_unfinished=allow_unfinished)
    patients, skipped = examinations(
        inputs,
        opened,
        arterial=arterial,
        venous=venous,
        held_out=held_out,
        labels=pancreas_labels(labels),
    )
    mesh = sharding.mesh()
    own = {name: value for name, value in choices.items() if not is_own_choice(name)}
    cascades: dict[Phase | None, Cascade] = {
        phase: load_cascade(of_phase, mesh, own, alone=alone) for phase, of_phase in opened.items()
    }
    for phase, run in deciding.items():
        loaded = load_classifier(run, opened[phase][0], choices)
        cascades[phase] = cascades[phase]._replace(classifier=loaded)
    first = next(iter(cascades.values())).cfg  # of whose grid all are
    rule = first.decision
    return predict(
        taken.of(patients),
        partial(_screened, cascades, anonymous, panorama),
        out,
        Job(
            command="s4c screen",
            runs=[*(run for of_phase in opened.values() for run in of_phase), *deciding.values()],
            choices=choices,
            options={"alone": alone, "anonymous": anonymous, "panorama": panorama},
            facts={
                "system": CLASSIFICATION if deciding else _system(opened, alone),
                "phases": [phase for phase in opened if phase],
                "positive": rule.positive,
                "rule": {
                    "min_tumor_voxels": rule.min_tumor_voxels,
                    "min_duct_voxels": rule.min_duct_voxels,
                },
                "spacing_mm": first.prepare.spacing_mm,
            },
        ),
        skipped=skipped,
        devices=list(mesh.devices.flat),
        page=screening_page,
        summary=_summary,
        paths=lambda patient: [scan.path for scan in patient.scans.values()],
        shard=taken,
    )


def _system(runs: Runs, alone: bool) -> str:
    """Which networks answer, as Table 1 calls them: "multi", "64³"; "3D U-Net 64³"."""
    of_phase = next(iter(runs.values()))
    sides, network = [run.cfg.data.patch for run in of_phase], of_phase[0].cfg.model.network
    scale = f"{sides[-1]}³" if alone or len(sides) == 1 else "multi"
    return f"{NETWORKS[network]} {scale}".strip()


def _require_answers_of_panorama(runs: Runs) -> None:
    wanted = {run.cfg.decision.positive for of_phase in runs.values() for run in of_phase}
    if len(runs) > 1 or wanted != {"PDAC"}:
        raise InputError(
            "--panorama is for PDAC in one contrast phase",
            hint=f"these runs look for {', '.join(sorted(wanted))}",
        )


class Screened(NamedTuple):
    """One scan that was screened.

    Args:
      decision: about it.
      row: of results.json.
      digest: identity of its HU.
      shown: its slices, for the page.
      appearance: what it is like.
    """

    decision: Decision
    row: dict[str, Any]
    digest: str
    shown: ShownScan
    appearance: Appearance


def _screened(
    cascades: Mapping[Phase | None, Cascade],
    anonymous: bool,
    panorama: bool,
    patient: Examination,
    folder: Path,
) -> Answer:
    """One patient: of networks of two phases, each scan has a folder of its own."""
    by_phase: dict[Phase | None, Screened] = {
        phase: screen_scan(
            cascades[phase],
            scan,
            folder / str(phase) if len(cascades) > 1 else folder,
            anonymous=anonymous,
            panorama=panorama,
            phase=phase,
            num_scans=len(patient.scans),
        )
        for phase, scan in patient.scans.items()
    }
    decisions: dict[Phase | None, Decision] = {p: s.decision for p, s in by_phase.items()}
    decisive = fused(decisions)
    row = dict(by_phase[decisive].row)
    notes = dict.fromkeys([*patient.notes, *(s.row["note"] for s in by_phase.values())])
    row["note"] = "; ".join(note for note in notes if note)
    if len(cascades) > 1:
        row["decided_by"] = decisive
        row["files"] = [f"{p}/{file}" for p, s in by_phase.items() for file in s.row["files"]]
        row["phases"] = {
            phase: {"input": patient.scans[phase].path.absolute(), **screened.row}
            for phase, screened in by_phase.items()
        }
    page = case_page(patient.id, [screened.shown for screened in by_phase.values()], row)
    atomic.write_text(folder / CASE_PAGE, page)
    row["page"] = CASE_PAGE
    return Answer(
        row,
        [screened.digest for screened in by_phase.values()],
        scans=[(patient.scans[phase].path, s.appearance) for phase, s in by_phase.items()],
    )


def screen_scan(
    cascade: Cascade,
    scan: Scan,
    folder: Path,
    *,
    anonymous: bool,
    panorama: bool,
    phase: Phase | None,
    num_scans: int,
) -> Screened:
    """Screen one scan of a patient; write its segmentation and a picture of it into a folder."""
    volume, cfg = canonical(read_scan(scan)), cascade.cfg
    segmentation, decision = screen_volume(volume, cascade, lesion_scores=panorama)
    names = NAMES_WITH_DUCT if cfg.prepare.duct else NAMES
    label = volume.with_array(segmentation.label)
    written = write_segmentation(folder, scan, label, names, anonymous=anonymous)
    atomic.write_bytes(folder / "overlay.png", overlay(volume, segmentation.label))
    files = [path.name for path in written.files]
    if segmentation.detections is not None:
        lesions = volume.with_array(segmentation.detections)
        files += write_answer(folder, scan, lesions, decision.score)
    roi, ml = segmentation.roi, voxel_mm3(volume, network_grid(volume, cfg.prepare)) / 1000
    row = {
        "decision": cfg.decision.positive if decision.positive else "normal",
        "score": decision.score,
        "num_tumor_voxels": decision.num_tumor_voxels,
        "num_pancreas_voxels": decision.num_pancreas_voxels,
        "num_duct_voxels": decision.num_duct_voxels,
        "tumor_ml": decision.num_tumor_voxels * ml,
        "pancreas_ml": decision.num_pancreas_voxels * ml,
        "duct_ml": decision.num_duct_voxels * ml,
        "roi": None if roi is None else {"start": roi.start, "stop": roi.stop},
        "windows": segmentation.windows,
        "files": files,
        "note": written.note,
    }
    shown = shown_scan(volume, segmentation.label, phase=phase, num_scans=num_scans)
    return Screened(decision, row, digest(volume.array), shown, appearance_of(volume))


def screen_volume(
    volume: Volume, cascade: Cascade, *, lesion_scores: bool = False
) -> tuple[Segmentation, Decision]:
    """Segment one canonical scan in Hounsfield units, remove outliers, decide.

    All that on the grid of the networks; the segmentation is then brought to the scan's own, with
    a score of every lesion where that is asked for.
    """
    cfg, grid = cascade.cfg, network_grid(volume, cascade.cfg.prepare)
    clean = partial(remove_outliers, cfg=cfg.decision)
    hu = seen(volume, grid)
    image = z_score(window(hu, *cfg.prepare.window_hu))
    if cascade.vote is not None:
        body = body_of(hu) if cfg.infer.skip_air else None
        segmentation = by_votes(image, cascade.vote, body)
    else:
        coarse, *fine = cascade.predicts
        segmentation = segment(
            image,
            coarse,
            fine,
            roi_margin=margins(cfg.infer.roi_margin, cfg.decision, spacing_seen(volume, grid)),
            alone=cascade.alone,
            **({"clean": clean} if cfg.decision.filter_before_roi else {}),
        )
    segmentation = segmentation._replace(label=clean(segmentation.label))
    rule = in_voxels(cfg.decision, voxel_mm3(volume, grid))
    decision = decide(segmentation.label, segmentation.tumor_prob, rule)
    if cascade.classifier is not None:
        found = cascade.classifier(image, segmentation.label)
        decision = decision._replace(positive=found.positive, score=found.score)
        segmentation = segmentation._replace(roi=found.roi)
    own = on_scan(segmentation, grid)
    if lesion_scores:
        own = own._replace(detections=detections(own, segmentation, rule, grid))
    return own, decision


def body_of(hu: Real[np.ndarray, "d h w"]) -> Bool[np.ndarray, "d h w"]:
    """The patient: the largest connected part denser than fat, without the couch beside it."""
    return keep_large(hu > BODY_HU, 1.0, neighbors=6)


def _summary(row: Mapping[str, Any]) -> str:
    return f"{row['decision']}  score {row['score']:.2f}  tumor {row['tumor_ml']:.1f} ml"
