"""The command `s4c`: where each subcommand is, whose parameters are its flags."""

import sys

from core import cli
from core.cli import Command
from s4c.recipes import RECIPES

DESCRIPTION = """Segmentation for classification: pancreatic tumors in CT (Zhu et al. 2019, 2020).

A scan is called PDAC, or PNET in one phase or two, if enough of its voxels are segmented as tumor.
"""
COMMANDS = {
    "demo": Command(
        "s4c.demo:run",
        "Train and screen synthetic patients; no input needed, minutes on two CPU cores.",
    ),
    "phantom": Command(
        "s4c.demo:write_phantoms",
        "Write a synthetic cohort in the layout that `train` reads (nnU-Net raw).",
    ),
    "prepare": Command(
        "s4c.prepare:prepare", "Read data sets once for all networks: files to prepared cases."
    ),
    "plan": Command(
        "s4c.plan:plan", "Say what a recipe needs on GPUs, TPUs or this CPU; they need not be here."
    ),
    "train": Command(
        "s4c.train:train",
        "Train one network: of a cascade, or the classifier that it is compared with.",
    ),
    "screen": Command(
        "s4c.infer:screen", "Screen new scans: NIfTI files, DICOM folders, or folders of either."
    ),
    "evaluate": Command(
        "s4c.evaluate:evaluate", "Compare screenings with annotated data: Table 1, ROC, every case."
    ),
    "study": Command(
        "s4c.study:study",
        "Cross-validate a paper's networks: every fold, then its tables; folds may be jobs.",
    ),
    "export": Command("s4c.export:export", "Write a cascade as one file that runs without panjax."),
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="s4c", description=DESCRIPTION, recipes=RECIPES))
