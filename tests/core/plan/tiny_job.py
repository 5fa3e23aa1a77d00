"""A job of the tiny convolutional task."""

import jax
import jax.numpy as jnp

from core.plan.job import Job
from core.train.config import RunConfig
from core.types import ModelState, Params
from tests.core.train import tiny

BATCH = 8


def tiny_job(steps: int = 20) -> Job:
    task = tiny.build()
    limited = task._replace(batches=lambda start: _until(steps, start))

    def ask(params: Params, model_state: ModelState, image: jax.Array) -> jax.Array:
        mean = model_state["batch_stats"]["mean"]
        return jnp.mean(image, (1, 2)) @ params["conv"][0, 0] - mean[None]

    def arrays(num_chips: int) -> tuple[jax.ShapeDtypeStruct]:
        return (jax.ShapeDtypeStruct((2 * num_chips, 8, 8, 1), jnp.float32),)

    return Job(limited, RunConfig(steps=steps), BATCH, "float32", ask, arrays, cache_bytes=10**9)


def _until(steps: int, start: int):
    for step, batch in zip(range(start, steps), tiny.batches(start), strict=False):
        del step
        yield batch
