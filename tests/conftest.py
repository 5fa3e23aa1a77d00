"""Strict JAX for every test, eight host devices, one compilation cache, real data if present."""

import gc
import logging
import os
from collections.abc import Iterator
from pathlib import Path

# Tests compile hundreds of programs and run each for a moment. Without LLVM's optimization the
# gradient of ResDSN takes 19 s of CPU to compile, with the first level 28 s, with all 36 s. Without
# it, XLA's older emitter of fused loops is the quicker: a small DAF-Net's step takes 19, not 32 s.
QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count=8 {QUICK_TO_COMPILE}")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
CACHE = Path(__file__).parents[1] / ".cache" / "jax"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
# Most programs of tests are tiny and take 40 ms; there are eight thousand.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402
from xdist.scheduler import LoadFileScheduling  # noqa: E402

from core import malloc  # noqa: E402
from tests import devices  # noqa: E402

CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
"""An int passes for a float."""
ROOT = Path(__file__).parents[1]
CONTRACTS = "tests/contracts/"

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config: pytest.Config) -> None:
    """Check annotated shapes at each call, except beside peers, whose arrays are NumPy's."""
    if config.option.markexpr == "parity":
        return
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("core", "fee", "s4c", "lnmet", "eusdaf")
        for path in (ROOT / package).rglob("*.py")
        if "from jaxtyping import" in path.read_text("utf-8")
    ]
    install_import_hook(modules, CHECKER)


def pytest_collection_finish() -> None:
    """Look for garbage in what tests make alone, and less often: it took 7 % of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


class LoadSharedScheduling(LoadFileScheduling):
    """A file stays on one process, and so do the contracts: they share trained systems."""

    def _split_scope(self, nodeid: str) -> str:
        """What stays together with the test of this node id."""
        return CONTRACTS if nodeid.startswith(CONTRACTS) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log) -> LoadFileScheduling | None:
    return LoadSharedScheduling(config, log) if config.option.dist == "loadfile" else None


@pytest.fixture(autouse=True)
def no_handler_of_another_test() -> None:
    """Commands log to the stderr of their time; that of an earlier test is closed."""
    for handler in logging.root.handlers[:]:
        if getattr(getattr(handler, "stream", None), "closed", False):
            logging.root.removeHandler(handler)


@pytest.fixture(autouse=True, scope="session")
def freed_memory_goes_back() -> Iterator[None]:
    """A process of tests runs hundreds of programs, and would keep as much as the largest needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(malloc, "keep_freed", lambda: None)
        yield


@pytest.fixture(autouse=True, scope="module")
def devices_seen(request: pytest.FixtureRequest) -> Iterator[None]:
    """One device, as on the CPU of a user, unless a file is marked to see all.

    Programs for several take twice as long to compile, and may not come from the cache.
    """
    several = request.node.get_closest_marker("several_devices")
    with devices.seen(None if several else 1):
        yield


@pytest.fixture
def all_devices() -> Iterator[None]:
    """For one test, whatever its file sees."""
    with devices.seen(None):
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images: `PANJAX_DATA`, or `../shared/data` beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PANJAX_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real images are not here: set PANJAX_DATA (looked in {folder})")
    return folder
