"""Forward pass and training step of every network, on fixed arrays, beside PyTorch's."""

from collections.abc import Iterator, Sequence
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks import harness
from benchmarks.subjects import Subject
from benchmarks.suites import Item
from core import compiler, malloc

PAPERS = ("s4c", "lnmet", "eusdaf", "fee")
TYPES = {"cpu": ("float32",)}
"""CPUs are slow in bfloat16; elsewhere both are measured."""
OF_FALL = 0.25
"""As exact is DAF-Net's gradient, 101 layers over a batch of two, in float32: two updates make its
loss fall by 0.0155 in float64, by 0.0147 in PyTorch's float32, and by 0.0142 to 0.0166 in ours when
the image is changed by 1e-7 of itself."""
OF_HALF = 0.05
"""Of logits and losses in bfloat16, of 8 significant bits, through many layers."""


def items() -> list[Item]:
    """Every network of every paper."""
    papers = {name: subject_module(name) for name in PAPERS}
    return [
        Item(f"{name}/{network}", f"step-{name}", partial(_measure, paper, network), groups)
        for name, paper in papers.items()
        for network, groups in paper.NAMES.items()
    ]


def subject_module(paper: str) -> ModuleType:
    """The networks of a paper."""
    return import_module(f"benchmarks.subjects.{paper}")


def _measure(paper: ModuleType, network: str, repeats: int) -> Iterator[harness.Row]:
    dtypes = TYPES.get(jax.default_backend(), ("float32", "bfloat16"))
    peer = harness.peer_module(paper.PEER)
    for dtype in dtypes:
        yield from measure(paper.subject(network, dtype), dtype, peer, repeats=repeats)


def measure(
    subject: Subject, dtype: str, peer: ModuleType | None, *, repeats: int
) -> Iterator[harness.Row]:
    """Rows `forward` and `training step` of one network, beside every form of its peer."""
    malloc.keep_freed()  # as commands do; the peer has the same
    variables = compiler.jit(subject.init, runs_once=True)(jax.random.key(0))
    ours = Ours(subject, variables)
    titles = {"forward": f"{subject.title} forward", "step": f"{subject.title} training step"}
    if peer is None:
        runs = {"forward": ours.forward, "step": ours.step}
        yield from (harness.compare(titles[k], run, repeats=repeats) for k, run in runs.items())
        return
    bench = import_module("benchmarks.peers.torch_bench")
    losses = [ours.step() for _ in range(3)]
    tolerance = None if dtype == "float32" else OF_HALF
    for form in bench.forms(dtype):
        twin = bench.Bench(subject.twin(peer, variables), form)
        same = harness.agree(ours.forward(), twin.logits(), within=tolerance)
        alike = learn_alike(losses, [twin.step() for _ in range(3)], tolerance)
        for key, equal in {"forward": same, "step": alike}.items():
            yield harness.compare(
                titles[key],
                getattr(ours, key),
                getattr(twin, key),
                peer_name=form.peer,
                equal=lambda ours, peer, equal=equal: equal,
                repeats=repeats,
            )


def learn_alike(ours: Sequence[Any], peer: Sequence[Any], tolerance: float | None) -> bool:
    """Whether the first loss is the same and two updates make it fall alike."""
    falls = [float(losses[0]) - float(losses[-1]) for losses in (ours, peer)]
    first = harness.agree(ours[0], peer[0], within=tolerance)
    return first and harness.agree(*falls, within=OF_FALL)


class Ours:
    """Compiled forward pass and training step over fixed arrays; the step moves its own state."""

    def __init__(self, subject: Subject, variables: Any) -> None:
        self._fixed = jax.tree.map(jnp.asarray, variables)
        self._moving = jax.tree.map(jnp.copy, (self._fixed, subject.tx.init(self._fixed["params"])))
        self._image, self._truth = jnp.asarray(subject.image), jnp.asarray(subject.truth)
        self._forward = harness.compile_step(partial(_forward, subject), self._fixed, self._image)
        self._step = harness.compile_step(
            partial(train_step, subject), self._moving, self._image, self._truth, donate_argnums=0
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


def train_step(
    subject: Subject, moving: Any, image: jax.Array, truth: jax.Array
) -> tuple[Any, jax.Array]:
    """One update: variables and the state of the optimizer after it, and the loss."""
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
