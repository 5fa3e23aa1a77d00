"""What a recipe needs on a machine that is not here, from made-up slices instead of data."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from core.commands import plan as planning
from core.plan.job import Job, on_disk
from fee import networks, train
from fee.config import Config
from fee.data import Example, PreparedSeries
from fee.slices import num_bytes

NUM_SLICES = 143_945
"""Of which 6 in 10 to learn from (Table 2, and Results); screening leaves fewer of them."""


def plan(cfg: Config, *, on: str, fsdp: bool = False, space: int = 1, json: bool = False) -> None:
    """Say what a recipe needs on a machine, which need not be here, and no data either.

    Compiles the training step and the inference of the recipe for that machine and prints memory,
    work and communication of a chip, and the least time that these take.

    Args:
      cfg: the recipe.
      on: machine: cpu, h100:8, a100:4, or a slice of TPUs, v5e:4x4 or v5p:2x2x4.
      fsdp: cut parameters and optimizer state over the chips, as `train` does.
      space: chips that share a slice, as of `train`.
      json: print values instead of text.

    Raises:
      InputError: no such machine, its compiler is not installed, or its chips cannot share a batch.
    """
    planning.plan(cfg, job_of, on, fsdp=fsdp, space=space, as_json=json)


def job_of(cfg: Config) -> Job:
    """Training and inference of a recipe on made-up slices, as many as the paper has."""
    size = cfg.prepare.size

    def ask(params: Any, model_state: Mapping[str, Any], *images: jax.Array) -> jax.Array:
        return networks.probability(cfg.model, (params, model_state), *images)

    def images(num_chips: int) -> tuple[jax.ShapeDtypeStruct, ...]:
        image = jax.ShapeDtypeStruct((cfg.infer.batch * num_chips, size, size), jnp.uint8)
        return (image, image) if cfg.task == "diagnose" else (image,)

    stack = _stack(size)
    slices = [Example(stack, n % 2, bool(n % 2)) for n in range(NUM_SLICES * 6 // 10)]
    task, run = train.build(cfg, slices), train.length(cfg, len(slices))
    cached = num_bytes(NUM_SLICES, cfg.prepare)
    return Job(task, run, cfg.data.batch, cfg.model.dtype, ask, images, cached)


def _stack(size: int) -> PreparedSeries:
    image = np.random.default_rng(0).integers(0, 256, (2, size, size), np.uint8)
    mask = np.zeros_like(image)
    mask[:, size // 3 : size // 2, size // 3 : size // 2] = 1
    return PreparedSeries(
        *("made up", "", "", "venous", True, ""),
        **on_disk(image=image, mask=mask),
        pancreas_slices=(0, 1),
        tumor_slices=(),
    )
