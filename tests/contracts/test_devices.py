"""Every paper: a training on one device and on eight compiles once each and ends alike."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from core import sharding
from core.train.fit import fit
from tests.contracts.papers import PAPERS, Paper, counted


@pytest.fixture(autouse=True)
def compiled_anew() -> Iterator[None]:
    """Programs for several CPU devices that come back from the cache let their collectives overtake
    each other, and the process aborts (jaxlib 0.10.2); see `core.sharding.distributed`."""
    compilation_cache.reset_cache()
    jax.config.update("jax_enable_compilation_cache", False)
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()


@pytest.fixture(params=PAPERS.values(), ids=PAPERS.keys())
def paper(request) -> Paper:
    return request.param


@pytest.mark.slow  # compiles for eight devices, and keeps nothing
def test_one_device_equals_eight(paper, tmp_path):
    cfg = paper.small(paper.recipes[paper.sharded], 8, 2)
    task, traces = counted(paper.build(cfg))
    single, eight = (
        fit(task, cfg.run, mesh=sharding.mesh(jax.devices()[:n]), workdir=tmp_path / str(n))
        for n in (1, 8)
    )
    assert len(traces) == 2
    for a, b in zip(jax.tree.leaves(single), jax.tree.leaves(eight), strict=True):
        # Sums over the batch are taken in another order: a few float32 roundings, grown by the
        # batch norms of the layers.
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=2e-3, atol=2e-4)
