"""The command `fee`: each function below is a subcommand, its parameters are the flags."""

import sys
from pathlib import Path

from core import cli
from fee.config import RECIPES, Config, InferConfig, PrepareConfig, ScreenConfig

DESCRIPTION = """From a patient's raw DICOM folder to a diagnosis (FEE-DL, Theranostics 2021).

Screening of the folder, slices with pancreas, its outline, tumor or none, and why.
"""


def demo(*, out: Path = Path("out/fee-demo")) -> int:
    """Train and diagnose synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, diagnoses, metrics.json and report.html; must be new or empty.
    """
    from fee.demo import run

    return run(out)


def phantom(
    out: cli.OnePath, *, num_cases: int, seed: int = 0, tumor_fraction: float = 0.5, size: int = 512
) -> None:
    """Write synthetic patients as hospitals export them: folders of DICOM, a table and masks.

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      tumor_fraction: share of the patients with a tumor.
      size: rows and columns of a slice.
    """
    from fee.demo import write_patients

    with cli.user_values():
        write_patients(
            out, num_patients=num_cases, seed=seed, size=size, tumor_fraction=tumor_fraction
        )


def prepare(
    *,
    data: cli.Data,
    out: Path,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    screen: ScreenConfig = ScreenConfig(),  # noqa: B008 - frozen, and the flags' defaults
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008
) -> int:
    """Read data sets once for all networks: files to prepared slices, cached and resumable.

    Args:
      data: cohorts of DICOM folders, NIH Pancreas-CT, nnU-Net, MSD, PANORAMA, or folders of slices.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient, as CSV or .xlsx.
      screen: which series are used.
      prepare: how a slice is made.
    """
    from fee.prepare import prepare as prepare_data

    num_left_out = prepare_data(
        data,
        out,
        screen=screen,
        cfg=prepare,
        patient_pattern=patient_pattern,
        patients=patients,
    )
    return int(num_left_out > 0)


def train(
    cfg: Config,
    *,
    data: cli.Data,
    out: Path,
    weights: Path | None = None,
    workers: int = 0,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train a network: locate, segment or diagnose.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/, best/.
      weights: .safetensors or .pth of a ResNet trained on ImageNet.
      workers: processes that make batches, where threads starve the device; 0 for threads.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
    """
    from fee.train import train as train_network

    train_network(
        cfg,
        data,
        out,
        weights=weights,
        workers=workers,
        resume=resume,
        distributed=distributed,
    )


def diagnose(
    patients: cli.Paths,
    *,
    runs: cli.Runs,
    out: Path,
    held_out: bool = False,
    phases: Path | None = None,
    identify: bool = False,
    anonymous: bool = False,
    allow_unfinished: bool = False,
    infer: cli.Override[InferConfig] = None,
    screen: cli.Override[ScreenConfig] = None,
) -> int:
    """Diagnose new patients: raw DICOM folders, zipped studies or NIfTI files.

    Args:
      patients: one folder or file each; with --held-out one data set.
      runs: the three trained networks, or one folder that holds them as locate/, segment/ and
        diagnose/.
      out: gets results.json, report.html and cases/<id>/ with masks, overlays and saliency maps.
      held_out: of a data set, take the patients of the runs' test part.
      phases: CSV with the columns series,phase and, if wanted, patient, where the headers do not
        tell the contrast phase.
      identify: add the patient's ID to the results; without, nothing that identifies is written
        but the tags of DICOM-SEG.
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      infer: overrides the runs' batch; rule and threshold of the decision about a patient, while
        slices are located and segmented with the thresholds of their own runs.
      screen: overrides which series are used.
    """
    from fee.infer import diagnose as diagnose_patients

    return diagnose_patients(
        patients,
        runs,
        out,
        held_out=held_out,
        identify=identify,
        phases_csv=phases,
        anonymous=anonymous,
        allow_unfinished=allow_unfinished,
        choices=cli.given(infer=infer, screen=screen),
    )


def evaluate(*, preds: cli.Preds, truths: cli.Truths, out: Path) -> None:
    """Compare diagnoses with the truth: Tables 1 to 3 and Figure 6 beside the paper's.

    Args:
      preds: the --out of `diagnose`.
      truths: cohorts or annotated CT data sets that hold the patients.
      out: gets metrics.json, rows.csv and report.html.
    """
    from core.report.table import to_text
    from fee.evaluate import evaluate as evaluate_diagnoses
    from fee.evaluation_page import system_table

    print(to_text(system_table(evaluate_diagnoses(preds, truths, out))), end="")


COMMANDS = {
    "demo": demo,
    "phantom": phantom,
    "prepare": prepare,
    "train": train,
    "diagnose": diagnose,
    "evaluate": evaluate,
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="fee", description=DESCRIPTION, recipes=RECIPES))
