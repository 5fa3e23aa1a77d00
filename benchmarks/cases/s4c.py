"""The coarse pass of S4C over one CT volume, 64³ windows at stride 20 and averaged softmax.

Against MONAI's `sliding_window_inference` over the same network with the same weights in PyTorch.
"""

import argparse
from pathlib import Path
from typing import Any

import jax
import numpy as np

from benchmarks import harness
from core import sharding
from core.io import nifti
from core.preprocess.intensity import window, z_score
from core.types import ModelState, Params
from core.volume import canonical
from s4c import model
from s4c.cascade import most_probable
from s4c.config import Config
from s4c.networks import sliding
from s4c.recipes import SEGMENTATION

TOLERANCE = 1e-4
"""Largest difference of probabilities: float32 rounding through 15 layers in two forms."""


def add_arguments(parser: argparse.ArgumentParser, data: Path) -> None:
    """What may be measured beside the defaults."""
    parser.add_argument("--recipe", choices=list(SEGMENTATION), default="pdac-64")
    parser.add_argument("--scan", type=Path, default=data / "ct_abdomen" / "example_ct.nii.gz")


def measure(args: argparse.Namespace) -> None:
    """Run both sides in turn; print and save one row."""
    cfg = SEGMENTATION[args.recipe]
    image = z_score(window(canonical(nifti.read(args.scan)).array, *cfg.prepare.window_hu))
    params, model_state = _weights(cfg)
    ours = sliding(cfg, params, model_state, sharding.mesh())
    peer = None
    if args.peer:
        peer = harness.peer_module("monai_s4c").predictor(cfg, params, model_state)
    agreement = _agreement(ours(image), peer(image)) if peer else {}
    row = harness.compare(
        f"s4c coarse pass {args.recipe} over {args.scan.name} {image.shape}",
        lambda: ours(image),
        peer and (lambda: peer(image)),
        peer_name=args.peer,
        equal=agreement["largest_difference"] <= TOLERANCE if peer else None,
        repeats=args.repeats,
    )
    harness.save("case-s4c", [row | agreement])


def _weights(cfg: Config) -> tuple[Params, ModelState]:
    """What seed 0 draws: the time of a convolution does not depend on its weights."""
    shape = (1, *(cfg.data.patch,) * 3, 1)
    variables = dict(model.init(cfg.model, jax.random.key(0), shape))
    return variables.pop("params"), variables


def _agreement(ours: np.ndarray, peer: np.ndarray) -> dict[str, Any]:
    same = most_probable(ours) == most_probable(peer)
    return {
        "largest_difference": float(np.abs(ours - peer).max()),
        "equal_labels": float(same.mean()),
    }
