"""The command `fee`: each function below is a subcommand, its parameters are the flags."""

import sys
from pathlib import Path

from core import cli
from fee.config import RECIPES, Config, PrepareConfig, ScreenConfig

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
    data: Path,
    out: Path,
    screen: ScreenConfig = ScreenConfig(),  # noqa: B008 - frozen, and the flags' defaults
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008
) -> None:
    """Read a data set once for all networks: files to prepared slices, cached and resumable.

    Args:
      data: cohort of DICOM folders, NIH Pancreas-CT, nnU-Net, MSD, PANORAMA, or a folder of slices.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped.
      screen: which series are used.
      prepare: how a slice is made.
    """
    from fee.prepare import prepare as prepare_data

    prepare_data(data, out, screen=screen, cfg=prepare)


def train(
    cfg: Config,
    *,
    data: Path,
    out: Path,
    weights: Path | None = None,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train a network: locate, segment or diagnose.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or a data set (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/, best/.
      weights: .safetensors or .pth of a ResNet trained on ImageNet.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
    """
    from fee.train import train as train_network

    train_network(cfg, data, out, weights=weights, resume=resume, distributed=distributed)


def diagnose(
    patients: cli.Paths,
    *,
    runs: cli.Runs,
    out: Path,
    phases: Path | None = None,
    identify: bool = False,
) -> int:
    """Diagnose new patients: raw DICOM folders, zipped studies or NIfTI files.

    Args:
      patients: one folder or file each.
      runs: the three trained networks, or one folder that holds them as locate/, segment/ and
        diagnose/.
      out: gets results.json, report.html and cases/<id>/ with masks, overlays and saliency maps.
      phases: CSV with the columns series,phase where the headers do not tell the contrast phase.
      identify: add the patient's ID to the results; without, nothing that identifies is written.
    """
    from fee.infer import diagnose as diagnose_patients

    return diagnose_patients(patients, runs, out, identify=identify, phases_csv=phases)


def evaluate(*, preds: cli.Preds, truth: Path, out: Path) -> None:
    """Compare diagnoses with the truth: Tables 1 to 3 and Figure 6 beside the paper's.

    Args:
      preds: the --out of `diagnose`.
      truth: cohort that the patients belong to.
      out: gets metrics.json, rows.csv and report.html.
    """
    from core.report.table import to_text
    from fee.evaluate import evaluate as evaluate_diagnoses
    from fee.evaluation_page import system_table

    print(to_text(system_table(evaluate_diagnoses(preds, truth, out))), end="")


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
