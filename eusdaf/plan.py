"""What a recipe needs on a machine that is not here, from made-up pictures instead of data."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from core.commands import plan as planning
from core.plan.job import Job, on_disk
from core.plan.program import num_bytes
from eusdaf import networks, train
from eusdaf.config import Config
from eusdaf.data import Prepared

NUM_PICTURES = 330
"""Of which four fifths to learn from, in each of five folds (Sec. 2.3)."""


def plan(cfg: Config, *, on: str, fsdp: bool = False, space: int = 1, json: bool = False) -> None:
    """Say what a recipe needs on a machine, which need not be here, and no data either.

    Compiles the training step and the inference of the recipe for that machine and prints memory,
    work and communication of a chip, and the least time that these take.

    Args:
      cfg: the recipe.
      on: machine: cpu, h100:8, a100:4, or a slice of TPUs, v5e:4x4 or v5p:2x2x4.
      fsdp: cut parameters and optimizer state over the chips, as `train` does.
      space: chips that share a picture, as of `train`.
      json: print values instead of text.

    Raises:
      InputError: no such machine, its compiler is not installed, or its chips cannot share a batch.
    """
    planning.plan(cfg, job_of, on, fsdp=fsdp, space=space, as_json=json)


def job_of(cfg: Config) -> Job:
    """Training and inference of a recipe on made-up pictures, as many as the paper has."""
    size = cfg.prepare.size

    def ask(params: Any, model_state: Mapping[str, Any], image: jax.Array) -> jax.Array:
        return networks.probability(cfg.model, (params, model_state), image)

    def images(num_chips: int) -> tuple[jax.ShapeDtypeStruct]:
        shape = (cfg.infer.batch * num_chips, size, size)
        return (jax.ShapeDtypeStruct(shape, jnp.uint8),)

    picture = _picture(size)
    pictures = [picture] * (NUM_PICTURES * 4 // 5)
    task, run = train.build(cfg, pictures), cfg.run.in_steps(len(pictures), cfg.data.batch)
    cached = NUM_PICTURES * num_bytes([picture.image, picture.mask])
    return Job(task, run, cfg.data.batch, cfg.model.dtype, ask, images, cached)


def _picture(size: int) -> Prepared:
    image = np.random.default_rng(0).integers(0, 256, (size, size), np.uint8)
    mask = np.zeros_like(image)
    mask[size // 3 : size // 2, size // 3 : size // 2] = 1
    return Prepared("made up", "", "", **on_disk(image=image, mask=mask), has_lesion=True)
