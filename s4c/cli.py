"""The command `s4c`: each function below is a subcommand, its parameters are the flags."""

import sys
from pathlib import Path

from core import cli
from s4c.config import RECIPES, Config, DecisionConfig, InferConfig, PrepareConfig

DESCRIPTION = """Segmentation for classification: pancreatic tumors in CT (Zhu et al., MICCAI 2019).

A scan is called PDAC if enough of its voxels are segmented as tumor.
"""


def demo(*, out: Path = Path("out/demo")) -> int:
    """Train and screen synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, screening, metrics.json and report.html; must be new or empty.
    """
    from s4c.demo import run

    return run(out)


def phantom(
    out: cli.OnePath,
    *,
    num_cases: int,
    seed: int = 0,
    spacing_mm: float = 2.0,
    tumor_fraction: float = 0.5,
) -> None:
    """Write a synthetic cohort in the layout that `train` reads (nnU-Net raw).

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      spacing_mm: side of the cubic voxels; the field of view stays 144 × 208 × 256 mm.
      tumor_fraction: share of the patients with a tumor, 8 to 40 mm across.
    """
    from s4c.demo import write_phantoms

    with cli.user_values():
        write_phantoms(
            out,
            num_cases=num_cases,
            seed=seed,
            spacing_mm=spacing_mm,
            tumor_fraction=tumor_fraction,
        )


def prepare(
    *,
    data: cli.Data,
    out: Path,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008 - frozen, and the flags' defaults
) -> int:
    """Read data sets once for all networks: files to prepared cases, cached and resumable.

    Args:
      data: nnU-Net raw or MSD folders with dataset.json, or NIH Pancreas-CT.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped.
      patient_pattern: regular expression whose first group is the patient in a case id.
      patients: table with the columns case,patient, as CSV or .xlsx.
      prepare: intensities.
    """
    from s4c.prepare import prepare as prepare_data

    num_left_out = prepare_data(
        data, out, prepare, patient_pattern=patient_pattern, patients=patients
    )
    return int(num_left_out > 0)


def train(
    cfg: Config,
    *,
    data: cli.Data,
    out: Path,
    fold: int | None = None,
    workers: int = 0,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train one network of the cascade.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/.
      fold: hold this fold out, the first is 0, and evaluate on it; without, train on every case.
      workers: processes that cut patches, where threads starve the device; 0 for threads.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
    """
    from s4c.train import train as train_network

    train_network(
        cfg, data, out, fold=fold, workers=workers, resume=resume, distributed=distributed
    )


def screen(
    inputs: cli.Paths,
    *,
    runs: cli.Runs,
    out: Path,
    held_out: bool = False,
    alone: bool = False,
    anonymous: bool = False,
    allow_unfinished: bool = False,
    infer: cli.Override[InferConfig] = None,
    decision: cli.Override[DecisionConfig] = None,
) -> int:
    """Screen new scans: NIfTI files, DICOM folders, or folders of either.

    Args:
      inputs: what to screen.
      runs: trained networks, one for each patch size; the largest is the coarse one.
      out: gets results.json, report.html and cases/<id>/.
      held_out: of a data set, take the scans that the runs did not train on.
      alone: of two runs, the finer answers by itself where the coarse one saw a pancreas (the
        single-scale rows of Table 1).
      anonymous: write DICOM-SEG without the patient's tags.
      allow_unfinished: also use runs that have not reached their end.
      infer: overrides the coarse run's windows.
      decision: overrides the coarse run's decision.
    """
    from s4c.infer import screen as screen_scans

    return screen_scans(
        inputs,
        runs,
        out,
        held_out=held_out,
        alone=alone,
        anonymous=anonymous,
        allow_unfinished=allow_unfinished,
        choices=cli.given(infer=infer, decision=decision),
    )


def evaluate(*, preds: cli.Preds, truths: cli.Truths, out: Path) -> None:
    """Compare screenings with annotated data: Table 1, ROC curve, a row per case.

    Args:
      preds: the --out of `screen`; several where each fold, or row of Table 1, has its own.
      truths: data sets that hold the screened scans.
      out: gets metrics.json, rows.csv and report.html.
    """
    from core.report.table import to_text
    from s4c.evaluate import evaluate as evaluate_screening
    from s4c.evaluation_page import table_1

    print(to_text(table_1(evaluate_screening(preds, truths, out))), end="")


COMMANDS = {
    "demo": demo,
    "phantom": phantom,
    "prepare": prepare,
    "train": train,
    "screen": screen,
    "evaluate": evaluate,
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="s4c", description=DESCRIPTION, recipes=RECIPES))
