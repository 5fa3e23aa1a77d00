"""What a row is of: the device, the versions of packages and the commit."""

import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from core.report import manifest

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "grain", "torch", "monai")
PACKAGES += ("batchgeneratorsv2", "nnunetv2", "edt", "connected-components-3d", "pydicom")
"""What a time can depend on; those that are installed are told."""
MOVES_NO_TIME = ("benchmarks/results", "*.md")
"""A run writes the former itself, and tables into the latter."""


def provenance() -> dict[str, Any]:
    """Device, versions and commit."""
    return {"device": device(), "versions": versions(), "commit": commit()}


@cache
def commit() -> str:
    """Of this checkout, when the run began; see `core.report.manifest.commit`."""
    return manifest.commit(Path(__file__).parent, but_for=MOVES_NO_TIME)


def versions() -> dict[str, str]:
    """Of Python and of `PACKAGES`."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def device() -> str:
    """What the numbers were measured on."""
    kind = jax.devices()[0].device_kind
    if jax.default_backend() != "cpu":
        return f"{len(jax.devices())} × {kind}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} cores of {models[0]}" if models else platform.machine()
