"""Every paper: a training on one device and on eight compiles once each and ends alike."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest

from core import sharding
from core.train.fit import fit
from tests.contracts.papers import PAPERS, Paper, counted
from tests.devices import compiled_anew

pytestmark = pytest.mark.several_devices


@pytest.fixture(autouse=True)
def _compiled_anew() -> Iterator[None]:
    with compiled_anew():
        yield


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
