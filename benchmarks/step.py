"""Forward pass and training step of a network on dummy arrays: `python -m benchmarks.step s4c`."""

import argparse
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import harness
from core.losses.entropy import cross_entropy
from core.train import optim
from s4c import model
from s4c.config import RECIPES, Config

BATCH = {"pdac-64": 2, "pdac-32": 8, "pdac-16": 32}
"""Cut down from the papers' 16, 32, 128 to what two cores do in seconds; `tiny-*` as they are."""


def main() -> None:
    """Time every recipe of a paper and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paper", choices=["s4c"])
    parser.add_argument("--peer", choices=["torch"], help="compare with its twin")
    parser.add_argument("--recipe", choices=list(RECIPES), action="append", help="default: all")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if args.peer:
        harness.peer_module("torch_s4c")
    rows = []
    for name in args.recipe or RECIPES:
        cfg = RECIPES[name]
        cfg = replace(cfg, data=replace(cfg.data, batch=BATCH.get(name, cfg.data.batch)))
        rows += measure(name, cfg, peer=args.peer, repeats=args.repeats)
        harness.save(f"step-{args.paper}", rows)


def measure(name: str, cfg: Config, *, peer: str | None, repeats: int) -> list[harness.Row]:
    """Rows `forward` and `training step` of one recipe."""
    side, batch = cfg.data.patch, cfg.data.batch
    title = f"s4c/{name} {side}³ width {cfg.model.width} batch {batch}"
    rng = np.random.default_rng(0)
    image = rng.standard_normal((batch, side, side, side, 1), np.float32)
    label = rng.integers(0, cfg.model.num_classes, (batch, side, side, side), np.int32)
    variables = jax.jit(lambda key: model.init(cfg.model, key, image.shape))(jax.random.key(0))
    ours = Ours(cfg, variables, image, label)
    if peer is None:
        return [
            harness.compare(f"{title} forward", ours.forward, repeats=repeats),
            harness.compare(f"{title} training step", ours.step, repeats=repeats),
        ]
    torch_s4c = harness.peer_module("torch_s4c")
    twin = torch_s4c.Bench(cfg, variables, image, label)
    common: dict[str, Any] = {"peer_name": torch_s4c.NAME, "repeats": repeats}
    same = harness.agree(ours.forward(), twin.forward())
    forward = harness.compare(f"{title} forward", ours.forward, twin.forward, equal=same, **common)
    # The second loss depends on the first update.
    same = harness.agree([ours.step(), ours.step()], [twin.step(), twin.step()])
    step = harness.compare(f"{title} training step", ours.step, twin.step, equal=same, **common)
    return [forward, step]


class Ours:
    """Compiled forward pass and training step over fixed arrays; the step moves its own state."""

    def __init__(self, cfg: Config, variables: Any, image: np.ndarray, label: np.ndarray) -> None:
        tx = optim.sgd(
            cfg.optim.learning_rate,
            momentum=cfg.optim.momentum,
            weight_decay=cfg.optim.weight_decay,
        )
        self._fixed = jax.tree.map(jnp.asarray, variables)
        self._moving = jax.tree.map(jnp.copy, (self._fixed, tx.init(self._fixed["params"])))
        self._image, self._label = jnp.asarray(image), jnp.asarray(label)
        self._forward = harness.compile_step(partial(_forward, cfg), self._fixed, self._image)
        self._step = harness.compile_step(
            partial(_step, cfg, tx), self._moving, self._image, self._label, donate_argnums=0
        )

    def forward(self) -> jax.Array:
        """Logits in evaluation."""
        return self._forward(self._fixed, self._image)

    def step(self) -> jax.Array:
        """Loss, forward and backward, and one update."""
        self._moving, loss = self._step(self._moving, self._image, self._label)
        return loss


def _forward(cfg: Config, variables: Any, image: jax.Array) -> jax.Array:
    state = {"batch_stats": variables["batch_stats"]}
    return model.apply(cfg.model, variables["params"], state, image)[0].main


def _step(
    cfg: Config, tx: optax.GradientTransformation, moving: Any, image: jax.Array, label: jax.Array
) -> tuple[Any, jax.Array]:
    def loss(params: Any, state: Any) -> tuple[jax.Array, Any]:
        outputs, state = model.apply(cfg.model, params, state, image, train=True)
        weighted = zip((1.0, *cfg.loss.aux_weights), (outputs.main, *outputs.aux), strict=True)
        terms = [
            w * jnp.mean(cross_entropy(z, label, class_weights=cfg.loss.class_weights))
            for w, z in weighted
        ]
        return jnp.stack(terms).sum(), state

    variables, opt_state = moving
    (value, state), grads = jax.value_and_grad(loss, has_aux=True)(
        variables["params"], {"batch_stats": variables["batch_stats"]}
    )
    updates, opt_state = tx.update(grads, opt_state, variables["params"])
    params = optax.apply_updates(variables["params"], updates)
    return ({"params": params, **state}, opt_state), value


if __name__ == "__main__":
    main()
