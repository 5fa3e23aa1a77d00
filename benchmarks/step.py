"""Forward pass and training step of a paper's networks on dummy arrays.

`python -m benchmarks.step s4c --peer torch`, or eusdaf, or lnmet.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks import harness
from benchmarks.subjects import Subject
from core import compiler

PAPERS = ("s4c", "eusdaf", "lnmet")

OF_FALL = 0.25
"""As exact is DAF-Net's gradient, 101 layers over a batch of two, in float32: two updates make its
loss fall by 0.0155 in float64, by 0.0147 in PyTorch's float32, and by 0.0142 to 0.0166 in ours when
the image is changed by 1e-7 of itself."""


def main() -> None:
    """Time every network of a paper and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paper", choices=PAPERS)
    parser.add_argument("--peer", choices=["torch"], help="compare with its twin")
    parser.add_argument("--recipe", action="append", help="default: all")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    paper = import_module(f"benchmarks.subjects.{args.paper}")
    if unknown := set(args.recipe or ()) - set(paper.NAMES):
        parser.error(f"unknown recipe {', '.join(unknown)}; known are {', '.join(paper.NAMES)}")
    peer_name = harness.peer_module(paper.PEER).NAME if args.peer else ""
    rows = []
    for name in args.recipe or paper.NAMES:
        rows += measure(paper.subject(name), peer_name=peer_name, repeats=args.repeats)
        harness.save(f"step-{args.paper}", rows)


def measure(subject: Subject, *, peer_name: str, repeats: int) -> list[harness.Row]:
    """Rows `forward` and `training step` of one network; without a peer's name ours alone."""
    variables = compiler.jit(subject.init, runs_once=True)(jax.random.key(0))
    ours = Ours(subject, variables)
    titles = {"forward": f"{subject.title} forward", "step": f"{subject.title} training step"}
    if not peer_name:
        return [
            harness.compare(titles["forward"], ours.forward, repeats=repeats),
            harness.compare(titles["step"], ours.step, repeats=repeats),
        ]
    twin = subject.twin(variables)
    common: dict[str, Any] = {"peer_name": peer_name, "repeats": repeats}
    same = harness.agree(ours.forward(), twin.forward())
    forward = harness.compare(titles["forward"], ours.forward, twin.forward, equal=same, **common)
    same = _learn_alike(*([side.step() for _ in range(3)] for side in (ours, twin)))
    step = harness.compare(titles["step"], ours.step, twin.step, equal=same, **common)
    return [forward, step]


def _learn_alike(ours: Sequence[Any], peer: Sequence[Any]) -> bool:
    """Whether the first loss is the same and two updates make it fall alike."""
    falls = [float(losses[0]) - float(losses[-1]) for losses in (ours, peer)]
    return harness.agree(ours[0], peer[0]) and harness.agree(*falls, tolerance=OF_FALL)


class Ours:
    """Compiled forward pass and training step over fixed arrays; the step moves its own state."""

    def __init__(self, subject: Subject, variables: Any) -> None:
        self._fixed = jax.tree.map(jnp.asarray, variables)
        self._moving = jax.tree.map(jnp.copy, (self._fixed, subject.tx.init(self._fixed["params"])))
        self._image, self._truth = jnp.asarray(subject.image), jnp.asarray(subject.truth)
        self._forward = harness.compile_step(partial(_forward, subject), self._fixed, self._image)
        self._step = harness.compile_step(
            partial(_step, subject), self._moving, self._image, self._truth, donate_argnums=0
        )

    def forward(self) -> jax.Array:
        """Logits in evaluation."""
        return self._forward(self._fixed, self._image)

    def step(self) -> jax.Array:
        """Loss, forward and backward, and one update."""
        self._moving, loss = self._step(self._moving, self._image, self._truth)
        return loss


def _forward(subject: Subject, variables: Any, image: jax.Array) -> jax.Array:
    return subject.predict(variables["params"], _state_of(variables), image)


def _step(
    subject: Subject, moving: Any, image: jax.Array, truth: jax.Array
) -> tuple[Any, jax.Array]:
    variables, opt_state = moving
    (value, state), grads = jax.value_and_grad(subject.loss, has_aux=True)(
        variables["params"], _state_of(variables), image, truth
    )
    updates, opt_state = subject.tx.update(grads, opt_state, variables["params"])
    params = optax.apply_updates(variables["params"], updates)
    return ({"params": params, **state}, opt_state), value


def _state_of(variables: Any) -> dict[str, Any]:
    """All but the parameters."""
    return {name: value for name, value in variables.items() if name != "params"}


if __name__ == "__main__":
    main()
