"""The command `fee`: where each subcommand is, whose parameters are its flags."""

import sys

from core import cli
from core.cli import Command
from fee.recipes import RECIPES

DESCRIPTION = """From a patient's raw DICOM folder to a diagnosis (FEE-DL, Theranostics 2021).

Screening of the folder, slices with pancreas, its outline, tumor or none, and why.
"""
COMMANDS = {
    "demo": Command(
        "fee.demo:run",
        "Train and diagnose synthetic patients; no input needed, minutes on two cores.",
    ),
    "phantom": Command("fee.demo:write_patients", "Write synthetic patients as hospitals export."),
    "prepare": Command(
        "fee.prepare:prepare", "Read data sets once for all networks: files to slices."
    ),
    "plan": Command(
        "fee.plan:plan",
        "Say what a recipe needs on GPUs, TPUs or this CPU; they need not be here.",
    ),
    "train": Command("fee.train:train", "Train a network: locate, segment or diagnose."),
    "diagnose": Command(
        "fee.infer:diagnose", "Diagnose new patients: DICOM folders, zipped studies or NIfTI."
    ),
    "evaluate": Command(
        "fee.evaluate:evaluate", "Compare diagnoses with the truth: Tables 1 to 3 and Figure 6."
    ),
    "export": Command(
        "fee.export:export", "Write the three networks as one file that runs without panjax."
    ),
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="fee", description=DESCRIPTION, recipes=RECIPES))
