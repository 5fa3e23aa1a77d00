"""A small convolutional task on random images; run as a script, it trains in a folder."""

import argparse
import logging
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from core import sharding
from core.errors import PreemptedError
from core.random import rng
from core.train.config import RunConfig
from core.train.fit import fit
from core.train.optim import polynomial_decay, sgd
from core.train.task import Task
from core.types import Batch

STEPS = 24


def init(key: jax.Array) -> dict:
    first, second = jax.random.split(key)
    params = {
        "conv": jax.random.normal(first, (3, 3, 1, 8)) / 3,
        "head": jax.random.normal(second, (8, 2)) / 3,
    }
    return {"params": params, "batch_stats": {"mean": jnp.zeros(8)}}


def loss(params: dict, model_state: dict, batch: Batch, key: jax.Array) -> tuple:
    image = batch["image"] + 0.1 * jax.random.normal(key, batch["image"].shape)
    numbers = ("NHWC", "HWIO", "NHWC")
    features = jax.lax.conv_general_dilated(
        image, params["conv"], (1, 1), ((1, 1), (1, 1)), dimension_numbers=numbers
    )
    mean = features.mean((0, 1, 2))
    model_state = {"batch_stats": {"mean": 0.9 * model_state["batch_stats"]["mean"] + 0.1 * mean}}
    logits = jax.nn.relu(features - mean[None, None, None]).mean((1, 2)) @ params["head"]
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
    correct = (logits.argmax(-1) == batch["label"]).mean()
    return losses.mean(), (model_state, {"accuracy": correct})


def batches(start: int) -> Iterator[Batch]:
    for step in range(start, 10**9):
        numbers = rng(7, step)
        label = numbers.integers(0, 2, 8)
        image = numbers.standard_normal((8, 8, 8, 1)) * (1 + label)[:, None, None, None]
        part = _part(len(label))
        yield {"image": image[part].astype(np.float32), "label": label[part].astype(np.int32)}


def _part(size: int) -> slice:
    """The rows of a global batch that this process loads."""
    local = size // jax.process_count()
    return slice(jax.process_index() * local, (jax.process_index() + 1) * local)


def evaluate(params: dict, model_state: dict) -> list:
    """Norms, and as a loss what goes up and down with them."""
    norms = {name: jnp.linalg.norm(params[name]).item() for name in params}
    return [{"id": k, "norm": norm, "loss": math.sin(100 * norm)} for k, norm in norms.items()]


def build(steps: int = STEPS) -> Task:
    tx = sgd(polynomial_decay(0.1, steps, power=0.9), momentum=0.9, weight_decay=5e-4)
    return Task(init, loss, tx, batches, evaluate)


def config(steps: int = STEPS) -> RunConfig:
    return RunConfig(
        steps=steps, seed=3, log_every=4, checkpoint_every=3, keep_checkpoints=2, evaluate_every=9
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--distributed", action="store_true")
    parser.add_argument("--resume", action="store_true", help="as it does in any case")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each step")
    args = parser.parse_args()
    if args.distributed:
        sharding.distributed()
    logging.basicConfig(format="%(message)s", force=True)
    logging.getLogger("core").setLevel("INFO")

    def paused(start: int) -> Iterator[Batch]:
        for batch in batches(start):
            time.sleep(args.pause)
            yield batch

    try:
        fit(
            build(args.steps)._replace(batches=paused),
            config(args.steps),
            mesh=sharding.mesh(),
            workdir=args.workdir,
            resume=True,
        )
    except PreemptedError as error:
        print(f"preempted: {error}", file=sys.stderr)
        sys.exit(143)
