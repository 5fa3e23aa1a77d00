"""What a recipe needs on a machine that is not here, from made-up scans instead of data."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from core.commands import plan as planning
from core.datasets.pancreas import PANCREAS, TUMOR
from core.plan.job import Job, on_disk
from core.plan.program import num_bytes
from core.preprocess.crop import bounding_box
from s4c import networks, train
from s4c.classifier import infer as classifier_infer
from s4c.classifier import train as classifier_train
from s4c.classifier.config import ClassifierConfig
from s4c.classifier.data import Example
from s4c.config import Config
from s4c.data import Prepared
from s4c.model import resdsn
from s4c.recipes import SEGMENTATION, AnyConfig

SHAPE = (128, 512, 512)
NUM_SCANS = {"pdac": 439, "pnet": 752}
"""Of each paper: a venous one of 439 patients, and both phases of 376."""
REGION = (16, 32, 40)
"""Features of an annotated pancreas, one for 8³ voxels: of 128 × 256 × 320 voxels, a large one."""


def plan(
    cfg: AnyConfig, *, on: str, fsdp: bool = False, space: int = 1, json: bool = False
) -> None:
    """Say what a recipe needs on a machine, which need not be here, and no data either.

    Compiles the training step and the inference of the recipe for that machine and prints memory,
    work and communication of a chip, and the least time that these take.

    Args:
      cfg: the recipe.
      on: machine: cpu, h100:8, a100:4, or a slice of TPUs, v5e:4x4 or v5p:2x2x4.
      fsdp: cut parameters and optimizer state over the chips, as `train` does.
      space: chips that share a patch, as of `train`.
      json: print values instead of text.

    Raises:
      InputError: no such machine, its compiler is not installed, or its chips cannot share a batch.
    """
    planning.plan(cfg, job_of, on, fsdp=fsdp, space=space, as_json=json)


def job_of(cfg: AnyConfig) -> Job:
    """Training and inference of a recipe on made-up scans."""
    return _classification(cfg) if isinstance(cfg, ClassifierConfig) else _segmentation(cfg)


def _segmentation(cfg: Config) -> Job:
    apply = networks.windows_of(cfg)["apply"]

    def ask(params: Any, model_state: Mapping[str, Any], windows: jax.Array) -> jax.Array:
        return apply({"params": params, "model_state": model_state}, windows)

    def windows(num_chips: int) -> tuple[jax.ShapeDtypeStruct]:
        shape = (cfg.infer.batch * num_chips, *(cfg.data.patch,) * 3, 1)
        return (jax.ShapeDtypeStruct(shape, jnp.float32),)

    scan = _scan()
    num = NUM_SCANS["pnet" if cfg.prepare.duct else "pdac"]
    return Job(
        train.build(cfg, [scan]),
        cfg.run,
        cfg.data.batch,
        cfg.model.dtype,
        ask,
        windows,
        num * num_bytes([scan.image, scan.label, scan.pancreas_voxels, scan.tumor_voxels]),
    )


def _classification(cfg: ClassifierConfig) -> Job:
    channels = SEGMENTATION["pdac-64"].model.width * 2 ** (resdsn.NUM_POOLINGS - 1)
    features = on_disk(features=np.zeros((*REGION, channels), np.float32))["features"]
    examples = [
        Example(kind, kind, features, kind == "abnormal") for kind in ("normal", "abnormal")
    ]

    def ask(params: Any, _: Mapping[str, Any], features: jax.Array, size: jax.Array) -> jax.Array:
        return classifier_infer.probability(cfg.model, params, features, size)

    def regions(_: int) -> tuple[jax.ShapeDtypeStruct, ...]:
        sizes = jax.ShapeDtypeStruct((1, 3), jnp.int32)
        return jax.ShapeDtypeStruct((1, *features.shape), jnp.float32), sizes

    task = classifier_train.build(cfg, examples)
    cached = NUM_SCANS["pnet"] * num_bytes(features)
    return Job(task, cfg.run, cfg.data.batch, cfg.model.dtype, ask, regions, cached)


def _scan() -> Prepared:
    """Noise with an ellipsoid of pancreas, and in it a tumor, as large as theirs at 1 mm."""
    image = np.random.default_rng(0).integers(-100, 240, SHAPE, np.int16)
    label = np.zeros(SHAPE, np.uint8)
    _paint(label, (64, 256, 256), (20, 25, 60), PANCREAS)
    _paint(label, (64, 256, 240), (12, 12, 12), TUMOR)
    pancreas, tumor = (np.argwhere(found).astype(np.int32) for found in (label > 0, label == TUMOR))
    return Prepared(
        "made up",
        "made up",
        "",
        **on_disk(image=image, label=label),
        mean=70.0,
        std=98.0,
        pancreas_voxels=pancreas,
        tumor_voxels=tumor,
        pancreas_box=bounding_box(label > 0),
        tumor_box=bounding_box(label == TUMOR),
    )


def _paint(label: np.ndarray, middle: tuple[int, ...], radii: tuple[int, ...], id_: int) -> None:
    axes = np.ogrid[tuple(slice(0, n) for n in label.shape)]
    far = sum(((x - m) / r) ** 2 for x, m, r in zip(axes, middle, radii, strict=True))
    label[far <= 1] = id_
