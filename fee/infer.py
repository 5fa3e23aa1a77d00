"""Diagnosing new patients: from the folders that a hospital exports to decisions and a report."""

import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from core import atomic, json_io, sharding
from core.config import fingerprint
from core.errors import InputError
from core.io.dicom.identity import patient_id
from core.io.inventory import NIFTI_ENDINGS
from core.io.paths import below, unique_ids
from core.report import results
from core.report.manifest import manifest
from fee.examine import Stopwatch
from fee.networks import TASKS, Bundle, load_bundle
from fee.patient import diagnose_patient
from fee.report import diagnosis_page
from fee.screening import screen, summary, write_screening

logger = logging.getLogger(__name__)

ENDINGS = (*NIFTI_ENDINGS, ".zip")
STAGES = ("screen", "read", "locate", "segment", "diagnose", "saliency", "write")


class Options(NamedTuple):
    """What a user may ask for."""

    identify: bool
    phases_csv: Path | None


def diagnose(
    patients: Sequence[Path],
    runs: Sequence[Path],
    out: Path,
    *,
    identify: bool = False,
    phases_csv: Path | None = None,
) -> int:
    """Diagnose every patient; write results, masks, pictures and a report.

    Args:
      patients: a folder, a zip or a NIfTI file for each patient.
      runs: run folders of the three networks, or one folder that holds them.
      out: gets results.json, report.html and cases/<id>/; ids come from names of files and folders.
      identify: also tell the PatientID of the headers, in results.json and the report.
      phases_csv: phases of series that the user knows.

    Returns:
      0 if all went well; 1 if a patient has no result, or has damaged files. Each failure has its
      line in results.json.

    Raises:
      InputError: a path with nothing there, or runs that make no system.
    """
    for path in patients:
        if not path.exists():
            raise InputError("no such file or folder", path=path)
    mesh = sharding.mesh()
    bundle, options = load_bundle(runs, mesh), Options(identify, phases_csv)
    ids = unique_ids([below(path, path, ENDINGS) for path in patients], instead="patient")
    cases = []
    for number, (id_, path) in enumerate(zip(ids, patients, strict=True), start=1):
        work = partial(_diagnosed, path, bundle, out / "cases" / id_, options)
        case = results.attempt(id_, path, work)
        logger.info("%d/%d  %s  %s", number, len(patients), id_, _summary(case))
        cases.append(case)
    cfgs = [bundle.cfgs[task] for task in TASKS]
    written = results.write(
        out,
        cases,
        skipped=[],
        provenance=manifest(
            fingerprint=" ".join(map(fingerprint, cfgs)),
            devices=[str(d) for d in mesh.devices.flat],
        ),
        runs=[str(run) for run in runs],
        rule=bundle.cfgs["diagnose"].infer.rule,
        threshold=bundle.cfgs["diagnose"].infer.threshold,
    )
    atomic.write_text(out / "report.html", diagnosis_page(written, out))
    damaged = any(case.get("num_error") or case.get("num_failed_series") for case in cases)
    return int(damaged or results.any_failed(cases))


def _diagnosed(path: Path, bundle: Bundle, folder: Path, options: Options) -> dict[str, Any]:
    """Screen one patient, diagnose from what is left, and write it down."""
    watch = Stopwatch(dict.fromkeys(STAGES, 0.0))
    cfg = bundle.cfgs["diagnose"].screen
    with _kept_when_interrupted(folder / ".work") as work:
        with watch.stage("screen"):
            found = screen(path, cfg, work=work, phases_csv=options.phases_csv)
            write_screening(folder, found)
        logger.info("%s: %s", folder.name, summary(found))
        if not found.series:
            raise InputError(
                f"no series to diagnose: {summary(found)}",
                path=path,
                hint=f"{folder.name}/screening.csv has the reason for every file",
            )
        row = diagnose_patient(found.series, bundle, folder, watch)
        if options.identify:
            row["patient_id"] = patient_id(found.series[0].scan.files[0])
    row |= {
        "num_used": found.num_used,
        "num_skipped": found.num_skipped,
        "num_error": found.num_error,
        "screening": summary(found),
        "stage_seconds": dict(watch),
    }
    json_io.write_json(folder / "prediction.json", row)
    return {**row, "phases": [_without_slices(phase) for phase in row["phases"]]}


@contextmanager
def _kept_when_interrupted(work: Path) -> Iterator[Path]:
    """A folder for indices and unpacked archives, from which an interrupted call goes on."""
    try:
        yield work
    except KeyboardInterrupt:
        raise
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)


def _without_slices(phase: Mapping[str, Any]) -> dict[str, Any]:
    """A line of results.json; prediction.json beside the pictures has every slice."""
    return {name: value for name, value in phase.items() if name != "slices"}


def _summary(case: Mapping[str, Any]) -> str:
    if case["status"] == "failed":
        return "failed"
    return (
        f"{case['decision']}  score {case['score']:.2f}  pancreas in {case['num_kept']} of "
        f"{case['num_slices']} slices  {case['seconds']:.1f} s"
    )
