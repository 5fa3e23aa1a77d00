"""One CT from its file to its label map, by an nnU-Net 2 model folder with mirrored windows.

Against nnU-Net itself over the same folder and file.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import harness
from core.io import nifti
from core.nnunet.predict import load, segment

EQUAL = 0.99
"""Least share of equal labels: untrained classes are nearly alike in many voxels, and nnU-Net sums
windows in half precision."""


def add_arguments(parser: argparse.ArgumentParser, data: Path) -> None:
    """What may be measured beside the defaults."""
    parser.add_argument("--model", type=Path, help="a trained folder instead of random weights")
    parser.add_argument("--scan", type=Path, default=data / "ct_abdomen" / "example_ct.nii.gz")
    parser.add_argument("--spacing-mm", type=float, default=4.5, help="of the random network")
    parser.add_argument("--window", type=int, default=64, help="of the random network, voxels")


def measure(args: argparse.Namespace) -> None:
    """Run both sides in turn; print and save one row."""
    module = harness.peer_module("nnunetv2_case")
    with TemporaryDirectory() as temporary:
        folder = args.model or module.write_model(
            Path(temporary), spacing_mm=args.spacing_mm, window=args.window
        )
        network = load(folder)
        peer = module.segmenter(folder) if args.peer else None

        def ours(scan: Path):
            return segment(network, [nifti.read(scan)]).array

        same = float((ours(args.scan) == peer(args.scan)).mean()) if peer else None
        plans = network.plans
        row = harness.compare(
            f"nnU-Net of {len(plans.labels)} classes, windows {plans.patch}, over {args.scan.name}",
            lambda: ours(args.scan),
            peer and (lambda: peer(args.scan)),
            peer_name=args.peer,
            equal=same >= EQUAL if same is not None else None,
            repeats=args.repeats,
        )
    harness.save("case-nnunet", [row | ({"equal_labels": same} if peer else {})])
