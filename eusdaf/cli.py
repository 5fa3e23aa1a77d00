"""The command `eusdaf`: each function below is a subcommand, its parameters are the flags."""

import sys
from pathlib import Path
from typing import Literal

from core import cli
from eusdaf.config import RECIPES, Config, InferConfig, PrepareConfig

DESCRIPTION = """Tumors in endoscopic ultrasound: DAF-Net and two baselines (Cancers 2022).

Every picture gets a mask of the lesion, its size, and an overlay.
"""


def demo(*, out: Path = Path("out/eusdaf-demo")) -> int:
    """Train and segment synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, runs, predictions, metrics.json and report.html; must be new or empty.
    """
    from eusdaf.demo import run

    return run(out)


def phantom(
    out: cli.OnePath,
    *,
    num_cases: int,
    seed: int = 0,
    num_frames: int = 2,
    tumor_fraction: float = 0.85,
    kind: Literal["png", "dicom"] = "png",
) -> None:
    """Write a synthetic cohort in the layout that `train` reads: images, masks and a table.

    Args:
      out: new folder.
      num_cases: patients.
      seed: of the cohort; another seed, other patients.
      num_frames: pictures of each patient.
      tumor_fraction: share of the patients with a tumor.
      kind: of the pictures.
    """
    from core.phantom.ultrasound.cohort import write_image_cohort

    with cli.user_values():
        write_image_cohort(
            out,
            num_patients=num_cases,
            seed=seed,
            num_frames=num_frames,
            tumor_fraction=tumor_fraction,
            kind=kind,
        )


def prepare(
    *,
    data: cli.Data,
    out: Path,
    patient_pattern: str | None = None,
    patients: Path | None = None,
    prepare: PrepareConfig = PrepareConfig(),  # noqa: B008 - frozen, and the flags' defaults
) -> int:
    """Read data sets once for all networks: files to prepared pictures, cached and resumable.

    Args:
      data: folders of pictures and masks.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped.
      patient_pattern: regular expression whose first group is the patient in a picture's id.
      patients: table with the columns image,patient, as CSV or .xlsx.
      prepare: size.
    """
    from eusdaf.prepare import prepare as prepare_data

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
    encoder_weights: Path | None = None,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train a network.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or data sets (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/.
      fold: hold this fold out, the first is 0, and evaluate on it; without, train on every picture.
      workers: processes that make batches, where threads starve the device; 0 for threads.
      encoder_weights: .safetensors or .pth of a ResNeXt trained on ImageNet, for DAF-Net; give it
        again with --resume.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
    """
    from eusdaf.train import train as train_network

    train_network(
        cfg,
        data,
        out,
        fold=fold,
        workers=workers,
        encoder_weights=encoder_weights,
        resume=resume,
        distributed=distributed,
    )


def segment(
    inputs: cli.Paths,
    *,
    runs: cli.Runs,
    out: Path,
    held_out: bool = False,
    probabilities: bool = False,
    allow_unfinished: bool = False,
    infer: cli.Override[InferConfig] = None,
) -> int:
    """Segment new pictures: images, DICOM, videos, or folders of them.

    Args:
      inputs: what to segment.
      runs: trained networks, such as the folds of one recipe; their probabilities are averaged.
      out: gets results.json, report.html and cases/<id>/ with masks at the size of the pictures.
      held_out: of a data set, take the pictures that the run did not train on.
      probabilities: also write probability maps (16-bit PNG); `evaluate` needs them for the ROC.
      allow_unfinished: also use runs that have not reached their end.
      infer: overrides the first run's threshold, rule for clips and batch.
    """
    from eusdaf.infer import segment as segment_pictures

    return segment_pictures(
        inputs,
        runs,
        out,
        held_out=held_out,
        probabilities=probabilities,
        allow_unfinished=allow_unfinished,
        choices=cli.given(infer=infer),
    )


def evaluate(*, preds: cli.Preds, truths: cli.Truths, out: Path) -> None:
    """Compare segmentations with annotated data: Table 2, ROC, statistics, all pictures.

    Args:
      preds: the --out of `segment`; several where each fold, or network, has its own.
      truths: data sets that hold the segmented pictures.
      out: gets metrics.json, rows.csv and report.html.
    """
    from core.report.table import to_text
    from eusdaf.evaluate import evaluate as evaluate_segmentation
    from eusdaf.evaluation_page import table_2

    print(to_text(table_2(evaluate_segmentation(preds, truths, out))), end="")


COMMANDS = {
    "demo": demo,
    "phantom": phantom,
    "prepare": prepare,
    "train": train,
    "segment": segment,
    "evaluate": evaluate,
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="eusdaf", description=DESCRIPTION, recipes=RECIPES))
