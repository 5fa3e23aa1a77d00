"""The command `eusdaf`: where each subcommand is, whose parameters are its flags."""

import sys

from core import cli
from core.cli import Command
from eusdaf.recipes import RECIPES

DESCRIPTION = """Tumors in endoscopic ultrasound: DAF-Net and two baselines (Cancers 2022).

Every picture gets a mask of the lesion, its size, and an overlay.
"""
COMMANDS = {
    "demo": Command(
        "eusdaf.demo:run",
        "Train and segment synthetic patients; no input needed, minutes on two cores.",
    ),
    "phantom": Command(
        "eusdaf.demo:write_pictures", "Write a synthetic cohort: images, masks and a table."
    ),
    "prepare": Command(
        "eusdaf.prepare:prepare", "Read data sets once for all networks: files to pictures."
    ),
    "plan": Command(
        "eusdaf.plan:plan",
        "Say what a recipe needs on GPUs, TPUs or this CPU; they need not be here.",
    ),
    "train": Command("eusdaf.train:train", "Train a network."),
    "segment": Command(
        "eusdaf.infer:segment", "Segment new pictures: images, DICOM, videos, or folders of them."
    ),
    "evaluate": Command(
        "eusdaf.evaluate:evaluate",
        "Compare segmentations with the truth: Table 2, ROC, statistics.",
    ),
    "study": Command(
        "eusdaf.study:study",
        "Cross-validate networks: every fold, then Table 2; folds may be jobs.",
    ),
    "export": Command(
        "eusdaf.export:export", "Write networks as one file that runs without panjax."
    ),
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="eusdaf", description=DESCRIPTION, recipes=RECIPES))
