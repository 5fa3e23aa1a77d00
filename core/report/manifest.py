"""Provenance of a result: commit, package versions, machine, recipe and cost."""

import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGE = "panjax"


def manifest(
    *, fingerprint: str, devices: Sequence[str], measured: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """What manifest.json holds.

    Args:
      fingerprint: of the config, `core.config.fingerprint`.
      devices: names of the accelerators, one each.
      measured: numbers to add, such as `core.train.log.summary`'s.
    """
    return {
        "commit": commit(Path(__file__).parent),
        "versions": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "devices": list(devices),
        "fingerprint": fingerprint,
        **(measured or {}),
    }


def commit(folder: Path, *, but_for: Sequence[str] = ()) -> str:
    """Commit of the checkout that `folder` belongs to, "+changes" if edited, or "unknown".

    A folder that git ignores (an installed package inside somebody's project) is "unknown".

    Args:
      folder: inside the checkout.
      but_for: paths or patterns from its root, edits of which do not count.
    """
    if not _git(folder, "ls-files"):
        return "unknown"
    kept = [f":(top,exclude){pattern}" for pattern in but_for]
    edited = _git(folder, "status", "--porcelain", "--untracked-files=no", ":/", *kept)
    return _git(folder, "rev-parse", "HEAD") + ("+changes" if edited else "")


def versions() -> dict[str, str]:
    """Version of this package and of every package that it depends on."""
    try:
        required = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return {}
    names = [re.split(r"[^\w.-]", line)[0] for line in required if "extra ==" not in line]
    return {name: metadata.version(name) for name in (PACKAGE, *names)}


def _git(folder: Path, *words: str) -> str:
    """What git says, or "" where there is no git or no repository."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
