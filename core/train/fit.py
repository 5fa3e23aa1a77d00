"""The training loop: a plain function over a task, without models, papers or config files."""

import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental.multihost_utils import process_allgather
from jax.sharding import Mesh

from core import compiler, malloc, sharding
from core.errors import InputError, PreemptedError
from core.train import state as states
from core.train.checkpoint import BEST, CHECKPOINTS, Checkpoints
from core.train.config import RunConfig
from core.train.early_stopping import best_step, is_stalled
from core.train.log import Log
from core.train.preemption import Preemption
from core.train.state import State
from core.train.step import lower_step
from core.train.task import Task
from core.types import Batch, ModelState, Params


def fit(
    task: Task,
    run: RunConfig,
    *,
    mesh: Mesh,
    workdir: Path,
    resume: bool = False,
    patience: int = 0,
    state_rule: sharding.Rule = sharding.replicated,
    batch_rule: sharding.Rule = sharding.split_batch,
) -> State:
    """Train a task; killed at any moment and resumed, it ends with the very same state.

    Bit for bit where the compiled step itself repeats: always on CPU and TPU, on GPUs under
    XLA_FLAGS=--xla_gpu_deterministic_ops=true.

    Args:
      task: what to train.
      run: length and rhythm.
      mesh: the devices.
      workdir: RUN; gets metrics.jsonl and checkpoints/<step>/, and, where the task is evaluated and
        that tells a `loss`, best/<step>/ with the weights of the smallest.
      resume: go on from the newest checkpoint, or from the beginning when there is none.
      patience: evaluations without a smaller `loss` or a larger `accuracy` after which the run
        ends; 0 never ends it early.
      state_rule: how the state lies on the mesh.
      batch_rule: how a batch does.

    Raises:
      InputError: checkpoints are there and `resume` is off.
      RunError: the loss or its gradient is no longer finite.
      PreemptedError: SIGTERM came; the state is saved, and a resumed run goes on from it.
    """
    malloc.keep_freed()
    keep = run.keep_checkpoints
    with (
        Checkpoints(workdir / CHECKPOINTS, keep=keep) as checkpoints,
        Checkpoints(workdir / BEST, keep=keep) if task.evaluate else nullcontext() as best,
    ):
        if not resume and checkpoints.latest() is not None:
            raise InputError("already holds checkpoints", path=workdir, hint="resume the run")
        state = _first_state(task, run.seed, mesh, state_rule, checkpoints)
        start, compiled, told = int(state.step), None, False
        if best:
            best.drop_after(start)
        path = workdir / "metrics.jsonl"
        with Log(path, start=start, steps=run.steps) as log, Preemption() as preemption:
            stops = is_stalled(log.evaluations, patience)
            left = range(start + 1, start + 1 if stops else run.steps + 1)
            for i, local in zip(left, task.batches(start), strict=False):
                batch = sharding.shard_batch(local, mesh, batch_rule)
                compiled = compiled or _compile(task, run.seed, state, batch, log)
                with jax.transfer_guard("disallow"):
                    state, metrics = compiled(state, batch)
                log.add(i, metrics, num_examples=_num_examples(batch))
                evaluates = best is not None and _is_due(i, run.evaluate_every, run.steps)
                told = preemption.is_due(i)
                saves = told or _is_due(i, run.checkpoint_every, run.steps)
                if evaluates or saves or _is_due(i, run.log_every, run.steps):
                    log.line(i)
                if best and evaluates:
                    # A resumed run starts no earlier than its best weights are from.
                    saves |= _evaluate(task, i, state, log, best)
                    stops = is_stalled(log.evaluations, patience)
                if saves or stops:
                    checkpoints.save(i, state)
                if stops or told:
                    break
    if int(state.step) == run.steps or stops:
        return state
    if told:
        raise PreemptedError(
            f"told to end (SIGTERM) and saved at step {int(state.step)} of {run.steps}; "
            "go on with --resume"
        )
    raise ValueError(f"task.batches ended after step {int(state.step)} of {run.steps}")


def _evaluate(task: Task, step: int, state: State, log: Log, best: Checkpoints) -> bool:
    """Whether these weights are the best so far; they are kept then."""
    rows = task.evaluate(*_on_host(state)) if task.evaluate else ()
    log.evaluation(step, rows)
    is_best = best_step(log.evaluations) == step
    if is_best:
        best.save_model(step, state)
    return is_best


def _on_host(state: State) -> tuple[Params, ModelState]:
    """Weights as NumPy arrays: each host evaluates with its own devices, however they lie."""

    def fetch(array: jax.Array) -> np.ndarray:
        if array.is_fully_addressable or array.is_fully_replicated:
            return np.asarray(array)
        return np.asarray(process_allgather(array, tiled=True))

    return jax.tree.map(fetch, (state.params, state.model_state))


def _is_due(step: int, every: int, last: int) -> bool:
    """Whether something happens at this step: every so often (0 is never), and at the end."""
    return step == last or bool(every and step % every == 0)


def _first_state(
    task: Task, seed: int, mesh: Mesh, rule: sharding.Rule, checkpoints: Checkpoints
) -> State:
    """The newest checkpoint, or a fresh state; born on the mesh either way."""
    create = partial(states.create, task, seed)
    shapes = jax.eval_shape(create)
    places = rule(shapes, mesh)
    if checkpoints.latest() is None:
        return compiler.jit(create, out_shardings=places, runs_once=True)()
    return checkpoints.restore(
        jax.tree.map(
            lambda a, place: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), shapes, places
        )
    )


def _compile(task: Task, seed: int, state: State, batch: Batch, log: Log) -> Any:
    """The step, compiled once for these shapes; it refuses any other instead of recompiling."""
    began = time.perf_counter()
    compiled = lower_step(task, seed, state, batch).compile()
    seconds, peak_bytes = time.perf_counter() - began, compiler.peak_bytes(compiled)
    log.compiled(compile_seconds=seconds, peak_bytes=peak_bytes)
    return compiled


def _num_examples(batch: Batch) -> int:
    return len(next(iter(batch.values())))
