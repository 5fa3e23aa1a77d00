"""Trained networks ready to screen: run folders in, a cascade out."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from core.errors import InputError
from core.infer.sliding import predictor
from core.train.checkpoint import restore_model
from core.train.run_folder import load_config, weights_folder
from core.types import ModelState, Params
from s4c import model
from s4c.cascade import Predict
from s4c.config import Config

OUTSIDE = 0.0
"""What a scan smaller than a window is padded with, after normalisation: the scan's mean."""


class Cascade(NamedTuple):
    """Networks ready to screen, coarse one first."""

    cfg: Config
    """Of the coarse network: its window, margin and decision hold for the whole cascade."""
    predicts: Sequence[Predict]


def load_cascade(runs: Sequence[Path], mesh: Mesh) -> Cascade:
    """Load trained networks; the one with the largest patch is the coarse one.

    Args:
      runs: run folders, in any order.
      mesh: the devices that share the windows.

    Raises:
      InputError: a folder that is no finished run, two networks of one patch size, or networks
        that were trained on different HU windows.
    """
    found = sorted(
        ((load_config(Config, run), run) for run in runs), key=lambda r: -r[0].data.patch
    )
    (cfg, coarse), *others = found
    for (a, first), (b, second) in zip(found, others, strict=False):
        if a.data.patch == b.data.patch:
            raise InputError(
                f"has the same patch size {b.data.patch} as {first}",
                path=second,
                hint="give one run for each size",
            )
    for b, run in others:
        if b.prepare.window_hu != cfg.prepare.window_hu:
            raise InputError(
                f"was trained on {b.prepare.window_hu} HU, {coarse} on {cfg.prepare.window_hu} HU",
                path=run,
            )
    predicts = [
        sliding(network, *restore_model(weights_folder(run)), mesh) for network, run in found
    ]
    return Cascade(cfg, predicts)


def sliding(cfg: Config, params: Params, model_state: ModelState, mesh: Mesh) -> Predict:
    """A network as a function from a normalised scan to class probabilities.

    Softmax of overlapping windows is averaged (Sec. 2.3); a small scan is padded with `OUTSIDE`.
    """

    def apply(variables: Mapping[str, Any], image: jax.Array) -> jax.Array:
        return model.apply(cfg.model, variables["params"], variables["model_state"], image)[0].main

    predict = predictor(
        apply,
        window=(cfg.data.patch,) * 3,
        stride=(cfg.infer.stride,) * 3,
        batch=cfg.infer.batch * mesh.size,
        num_classes=cfg.model.num_classes,
        combine="average",
        sharding=NamedSharding(mesh, PartitionSpec("data")),
    )
    variables = jax.device_put(
        {"params": params, "model_state": model_state}, NamedSharding(mesh, PartitionSpec())
    )
    return lambda image: predict(variables, image[..., None], fill=OUTSIDE)
