"""Programs for several devices of a CPU, which may not come from the cache."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.experimental.compilation_cache import compilation_cache


@contextmanager
def compiled_anew() -> Iterator[None]:
    """Programs for several CPU devices that come back from the cache let their collectives overtake
    each other, and the process aborts (jaxlib 0.10.2); see `core.sharding.distributed`."""
    compilation_cache.reset_cache()
    jax.config.update("jax_enable_compilation_cache", False)
    yield
    jax.config.update("jax_enable_compilation_cache", True)
    compilation_cache.reset_cache()
