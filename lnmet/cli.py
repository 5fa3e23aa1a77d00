"""The command `lnmet`: where each subcommand is, whose parameters are its flags."""

import sys

from core import cli
from core.cli import Command
from lnmet.recipes import RECIPES

DESCRIPTION = """Lymph-node metastasis of pancreatic cancer in two-phase CT (Zheng et al.).

Lymph nodes are looked for where they can lie: at distances to organs and vessels that nodes of the
training set have.
"""
COMMANDS = {
    "demo": Command(
        "lnmet.demo:run",
        "Train and segment synthetic patients; no input needed, minutes on two CPU cores.",
    ),
    "phantom": Command(
        "lnmet.demo:write_phantoms",
        "Write a synthetic two-phase cohort in the layout that `train` reads (nnU-Net raw).",
    ),
    "register": Command(
        "lnmet.register:register",
        "Bring the arterial onto the venous phase, of single patients or a data set.",
    ),
    "pseudo": Command(
        "lnmet.pseudo:pseudo", "Write a data set whose labels are segmentations, to train on."
    ),
    "prepare": Command(
        "lnmet.prepare:prepare", "Read data sets once for all networks: files to prepared cases."
    ),
    "ranges": Command(
        "lnmet.ranges:ranges", "Fit the distances of attention to the nodes of prepared cases."
    ),
    "plan": Command(
        "lnmet.plan:plan",
        "Say what a recipe needs on GPUs, TPUs or this CPU; they need not be here.",
    ),
    "train": Command(
        "lnmet.train:train",
        "Train one network: of organs, the tumor, nodes, metastatic ones, or the status.",
    ),
    "segment": Command(
        "lnmet.infer:segment",
        "Segment new examinations: NIfTI files, DICOM folders, or folders of either.",
    ),
    "stage": Command(
        "lnmet.stage:stage",
        "Tell the status of new patients from two phases: register, segment, identify, decide.",
    ),
    "identify": Command(
        "lnmet.identification.identify:identify",
        "Tell which annotated nodes are metastatic: Table IV.",
    ),
    "study": Command(
        "lnmet.study.command:study",
        "Cross-validate everything: every fold, then Tables IV to VII; folds may be jobs.",
    ),
    "evaluate": Command(
        "lnmet.evaluate:evaluate",
        "Compare segmentations with annotated data: Tables III and V, every case.",
    ),
    "export": Command(
        "lnmet.export:export", "Write networks that segment as one file that runs without panjax."
    ),
}


def main() -> None:
    """Entry point of the console script."""
    sys.exit(cli.run(COMMANDS, prog="lnmet", description=DESCRIPTION, recipes=RECIPES))
