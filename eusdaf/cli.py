"""The command `eusdaf`: each function below is a subcommand, its parameters are the flags."""

import sys
from pathlib import Path
from typing import Literal

from core import cli
from eusdaf.config import RECIPES, Config, PrepareConfig

DESCRIPTION = """Tumors in endoscopic ultrasound: DAF-Net and two baselines (Cancers 2022).

Every picture gets a mask of the lesion, its size, and an overlay.
"""


def demo(*, out: Path = Path("out/eusdaf-demo")) -> int:
    """Train and segment synthetic patients; no input needed, minutes on two CPU cores.

    Args:
      out: gets phantoms, run, segmentation, metrics.json and report.html; must be new or empty.
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


def prepare(*, data: Path, out: Path, size: int = PrepareConfig().size) -> None:
    """Read a data set once for all networks: files to prepared pictures, cached and resumable.

    Args:
      data: folder of pictures and masks.
      out: cache folder, the --data of `train`; its index.json lists every file used or skipped.
      size: rows and columns that every picture is resized to.
    """
    from eusdaf.prepare import prepare as prepare_data

    with cli.user_values():
        cfg = PrepareConfig(size=size)
    prepare_data(data, out, cfg)


def train(
    cfg: Config,
    *,
    data: Path,
    out: Path,
    fold: int | None = None,
    encoder_weights: Path | None = None,
    resume: bool = False,
    distributed: bool = False,
) -> None:
    """Train a network.

    Args:
      cfg: the recipe.
      data: what `prepare` wrote, or a data set (prepared into the run folder first).
      out: run folder: config.json, manifest.json, metrics.jsonl, checkpoints/.
      fold: hold this fold out, the first is 0, and evaluate on it; without, train on every picture.
      encoder_weights: .safetensors or .pth of a ResNeXt trained on ImageNet, for DAF-Net.
      resume: continue a run, bit for bit as if it had not stopped.
      distributed: join the other hosts of a cluster first.
    """
    from eusdaf.train import train as train_network

    train_network(
        cfg,
        data,
        out,
        fold=fold,
        encoder_weights=encoder_weights,
        resume=resume,
        distributed=distributed,
    )


def segment(
    inputs: cli.Paths,
    *,
    runs: cli.Runs,
    out: Path,
    probabilities: bool = False,
    held_out: bool = False,
) -> int:
    """Segment new pictures: images, DICOM, videos, or folders of them.

    Args:
      inputs: what to segment.
      runs: trained networks of one size; the probabilities of several are averaged.
      out: gets results.json, report.html and cases/<id>/ with masks at the size of the pictures.
      probabilities: also write probability maps (16-bit PNG); `evaluate` needs them for the ROC.
      held_out: of a data set, take the pictures that the run's fold held out.
    """
    from eusdaf.infer import segment as segment_pictures

    return segment_pictures(inputs, runs, out, probabilities=probabilities, held_out=held_out)


def evaluate(*, preds: cli.Preds, truth: Path, out: Path) -> None:
    """Compare segmentations with an annotated data set: Table 2, ROC, statistics, all pictures.

    Args:
      preds: the --out of `segment`; several where every fold has its own.
      truth: data set that holds the segmented pictures.
      out: gets metrics.json, rows.csv and report.html.
    """
    from core.report.table import to_text
    from eusdaf.evaluate import evaluate as evaluate_segmentation
    from eusdaf.evaluation_page import table_2

    print(to_text(table_2(evaluate_segmentation(preds, truth, out))), end="")


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
