"""Diagnosing new patients: from the folders that a hospital exports to decisions and a report."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from core import cli, sharding
from core.commands import results
from core.commands.predict import Answer, Job, held_out_of, predict
from core.commands.shards import shard_of
from core.datasets.label_names import LabelNames
from core.datasets.pancreas import pancreas_labels
from core.datasets.patients import PHASES
from core.errors import InputError
from core.infer.load import Run
from core.io.dicom.identity import patient_id
from core.io.paths import below, unique_ids
from core.io.volume_file import ENDINGS as VOLUME_ENDINGS
from core.phases.evidence import PhaseTable, phases_of_patient, read_phases
from core.screening.patient import Screening, require_one_patient, screen
from core.screening.series import Series
from core.screening.studies import Patient, Studies, Study
from core.screening.table import summary, write_screening
from fee.annotated_patients import paths_by_patient
from fee.config import Config, InferConfig, ScreenConfig
from fee.networks import Bundle, load_bundle, open_runs
from fee.patient import diagnose_study
from fee.predict_series import Stopwatch
from fee.report import diagnosis_page
from fee.screening import rules

logger = logging.getLogger(__name__)

ENDINGS = (*VOLUME_ENDINGS, ".zip")
STAGES = ("screen", "read", "locate", "segment", "diagnose", "saliency", "write")


class Options(NamedTuple):
    """What a user may ask for."""

    identify: bool
    anonymous: bool
    phases: PhaseTable


def diagnose(
    patients: cli.Paths,
    runs: cli.Runs,
    out: Path,
    *,
    held_out: bool = False,
    labels: str | None = None,
    phases: Path | None = None,
    identify: bool = False,
    anonymous: bool = False,
    allow_unfinished: bool = False,
    shard: str | None = None,
    choices: Annotated[cli.Choices, cli.Overrides(infer=InferConfig, screen=ScreenConfig)] = None,
) -> int:
    """Diagnose new patients: raw DICOM folders, zipped studies or NIfTI files.

    Args:
      patients: one folder or file each; with --held-out one data set.
      runs: the three trained networks, or one folder that holds them as locate/, segment/ and
        diagnose/.
      out: gets results.json, report.html and cases/<id>/ with masks, overlays, saliency maps and a
        report.html to scroll through the series; ids come from names of files and folders.
      held_out: of one data set, take the patients of the runs' test part.
      labels: with --held-out, what label names of volumes mean, as of `prepare`.
      phases: CSV with the columns series,phase and, if wanted, patient, where the headers do not
        tell the contrast phase.
      identify: add the patient's ID to the results; without, nothing that identifies is written
        but the tags of DICOM-SEG.
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      shard: work on every N-th case from the K-th on, K/N from 0/N, beside calls for the other
        shards; then once without.
      choices: override the runs' batch and screening, and the rule and threshold of the decision
        about a patient, "infer.threshold" → probability; slices are located and segmented with the
        thresholds of their own runs.

    Returns:
      0 if all went well; 1 if a patient has no result, or has damaged files. Each failure has its
      line in results.json.

    Raises:
      InputError: a path with nothing there, runs that make no system, or labels of no data set.
    """
    if labels is not None and not held_out:
        raise InputError("--labels is for --held-out: no label is read without it")
    taken = shard_of(shard)
    opened, choices = open_runs(runs, allow_unfinished=allow_unfinished), choices or {}
    if held_out:
        data = patients
        patients = _held_out(data, opened, pancreas_labels(labels))
        if phases is None and (data[0] / PHASES).is_file():
            phases = data[0] / PHASES
    for path in patients:
        if not path.exists():
            raise InputError("no such file or folder", path=path)
    table = {} if phases is None else read_phases(phases)
    mesh, options = sharding.mesh(), Options(identify, anonymous, table)
    bundle = load_bundle(opened, mesh, choices)
    ids = unique_ids([below(path, path, ENDINGS) for path in patients], instead="patient")
    decision = bundle.cfgs["diagnose"].infer
    return predict(
        Studies(
            [
                Patient(id_, path, out / "cases" / id_ / ".work")
                for id_, path in taken.of(list(zip(ids, patients, strict=True)))
            ],
            {row["id"]: row.get("num_studies", 1) for row in results.done_before(out).values()},
        ),
        partial(_diagnosed, bundle, options),
        out,
        Job(
            command="fee diagnose",
            runs=opened,
            choices=choices,
            options=options._asdict(),
            facts={"rule": decision.rule, "threshold": decision.threshold},
        ),
        skipped=[],
        devices=list(mesh.devices.flat),
        page=diagnosis_page,
        summary=_summary,
        shard=taken,
    )


def _held_out(data: Sequence[Path], runs: Sequence[Run[Config]], labels: LabelNames) -> list[Path]:
    """Paths of the patients of a data set that the runs hold out."""
    if runs[0].cfg.split.by == "image":
        raise InputError(
            "held slices out, not patients", path=runs[0].path, hint="train with --split.by patient"
        )
    by_patient = partial(paths_by_patient, labels=labels)
    return [path for paths in held_out_of(data, runs, by_patient) for path in paths]


def _diagnosed(bundle: Bundle, options: Options, study: Study, folder: Path) -> Answer:
    """Screen the patient unless that is done, diagnose one study, and write it down."""
    watch, patient = Stopwatch(dict.fromkeys(STAGES, 0.0)), study.patient
    with watch.stage("screen"):
        screening = _screened(patient, bundle.cfgs["diagnose"], options)
        write_screening(folder, screening)
    require_one_patient(screening)
    if not screening.series:
        raise InputError(
            f"no series to diagnose: {summary(screening)}",
            path=study.path,
            hint=f"{folder.name}/screening.csv has the reason for every file",
        )
    series = screening.studies[study.number]
    answer = diagnose_study(
        series, bundle, folder, watch, volumes=patient.volumes, anonymous=options.anonymous
    )
    row = {**answer.row, **_files(study, series, screening), "stage_seconds": dict(watch)}
    row["num_problems"] = row["num_error"] + row["num_failed_series"]
    if row["num_studies"] > 1:
        which = f"study {study.number + 1} of {row['num_studies']}, the newest first"
        row["note"] = "; ".join(text for text in (row["note"], which) if text)
    if options.identify:
        row["patient_id"] = patient_id(series[0].scan.files[0])
    return answer._replace(row=row)


def _screened(patient: Patient, cfg: Config, options: Options) -> Screening:
    """Screening of a patient, done once for all its studies."""
    if patient.screening is None:
        patient.screening = screen(
            patient.path,
            rules(cfg.screen),
            work=patient.work,
            phases=phases_of_patient(options.phases, patient.id),
            volumes=patient.volumes,
        )
        logger.info("%s: %s", patient.id, summary(patient.screening))
    return patient.screening


def _files(study: Study, series: Sequence[Series], screening: Screening) -> dict[str, Any]:
    """Counts of files; those that are not used count with the newest study."""
    is_newest = study.number == 0
    return {
        "study": study.number,
        "num_studies": len(screening.studies),
        "num_used": sum(len(used.scan.files) for used in series),
        "num_skipped": screening.count("skipped") if is_newest else 0,
        "num_error": screening.count("error") if is_newest else 0,
        "screening": summary(screening),
    }


def _summary(row: Mapping[str, Any]) -> str:
    return (
        f"{row['decision']}  score {row['score']:.2f}  pancreas in {row['num_kept']} of "
        f"{row['num_slices']} slices"
    )
