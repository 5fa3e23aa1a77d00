"""How many of the eight devices of a test's process are seen, and programs for several of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

_devices, _local_devices = jax.devices, jax.local_devices


@contextmanager
def seen(number: int | None) -> Iterator[None]:
    """Who asks JAX for its devices gets so many of them, or all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax, "devices", lambda *backend: _devices(*backend)[:number])
        patch.setattr(jax, "local_devices", lambda: _local_devices()[:number])
        for name in ("device_count", "local_device_count"):
            patch.setattr(jax, name, lambda: len(_devices()[:number]))
        yield


@contextmanager
def compiled_anew() -> Iterator[None]:
    """Programs for several CPU devices that come back from the cache let their collectives overtake
    each other, and the process aborts (jaxlib 0.10.2); see `core.sharding.distributed`."""
    compilation_cache.reset_cache()
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        compilation_cache.reset_cache()
