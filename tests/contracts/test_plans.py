"""Every recipe of every paper is planned from made-up cases, with the step that is trained."""

import json
import os
import subprocess
import sys
from functools import partial
from importlib import import_module

import jax
import pytest

from benchmarks import plans
from core.plan.job import host_work
from core.plan.program import num_bytes, state_of
from core.train.step import make_step
from tests.contracts.papers import PAPERS, full_size_recipes

PLANNED = {name: (cfg, job_of) for name, cfg, job_of in plans.recipes()}


def shapes(tree):
    return jax.tree.map(lambda a: (a.shape, str(a.dtype)), tree)


@pytest.mark.parametrize(("paper_name", "recipe"), full_size_recipes(PLANNED))
def test_a_recipe_is_planned_as_it_is_trained(paper_name, recipe):
    """Its step goes from state to state, and inference answers about as many as it is asked."""
    cfg, job_of = PLANNED[f"{paper_name}/{recipe}"]
    job = job_of(cfg)
    assert job.run.steps > 0
    assert job.batch == cfg.data.batch
    batch, state = host_work(job).batch, state_of(job)
    assert {len(array) for array in batch.values()} == {job.batch}
    after, metrics = jax.eval_shape(make_step(job.task, job.run.seed), state, dict(batch))
    assert shapes(after) == shapes(state)
    assert all(metric.shape == () for metric in metrics.values())
    assert num_bytes(state) > 2 * num_bytes(state.params)  # momentum, or more
    assert job.cache_bytes > 330 * 2 * 100**2  # the fewest and smallest: pictures and their masks
    arrays = job.arrays(2)
    answers = jax.eval_shape(job.ask, state.params, state.model_state, *arrays)
    assert answers.shape[:1] in (arrays[0].shape[:1], ())  # a classifier tells one number


@pytest.mark.parametrize("paper_name", PAPERS)
def test_a_made_up_batch_is_like_a_real_one(paper_name):
    paper = PAPERS[paper_name]
    for name in (*paper.compiled, paper.sharded):
        cfg = paper.small(paper.recipes[name], 2, 3)
        (made_up, real) = (
            next(iter(build(cfg).batches(2))) for build in (partial(_task, paper_name), paper.build)
        )
        # A classifier's regions differ in size from data set to data set.
        ranks = {name: (array.ndim, array.dtype) for name, array in real.items()}
        assert {name: (array.ndim, array.dtype) for name, array in made_up.items()} == ranks
        if "features" not in real:
            assert shapes(dict(made_up)) == shapes(dict(real))


def _task(paper_name, cfg):
    return import_module(f"{paper_name}.plan").job_of(cfg).task


@pytest.mark.slow  # compiles steps of hundreds of megabytes, with all of LLVM's effort
@pytest.mark.parametrize(
    ("paper_name", "recipe", "choices"),
    [
        ("s4c", "pdac-16", {"data.batch": 48}),
        ("s4c", "pdac-64", {"data.batch": 4, "model.width": 16}),
        ("fee", "segment", {"data.batch": 2, "model.width": 8}),
    ],
)
def test_a_step_takes_the_memory_that_its_plan_for_this_cpu_says(paper_name, recipe, choices):
    words = [sys.executable, "-m", "tests.contracts.step_memory", paper_name, recipe]
    env = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    # As the Makefile sets it: without large pages the allocator keeps more of what is free.
    env["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    done = subprocess.run(
        [*words, json.dumps(choices)], env=env, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    # Scratch of single kernels, threads and the allocator come on top of what XLA plans.
    assert told["planned"] == pytest.approx(told["measured"], rel=0.1)
