"""What `export` does under every paper: a finished system as one file that runs without panjax."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import config
from core.errors import InputError
from core.infer.export import PLATFORMS, Program, write_programs
from core.infer.load import Run
from core.report.manifest import versions

logger = logging.getLogger(__name__)


def export(
    out: Path, programs: Mapping[str, Program], about: Mapping[str, Any], *, runs: Sequence[Run]
) -> None:
    """Write the networks of runs and what stands around them.

    Args:
      out: file, replaced where there is one.
      programs: networks by name.
      about: what a reader needs besides them to give the same answers.
      runs: that they are of; kept by their fingerprints, not by their paths.

    Raises:
      InputError: `out` is a folder, or not called .npz.
    """
    if out.suffix != ".npz":
        raise InputError("must end with .npz", path=out)
    if out.is_dir():
        raise InputError("is a folder", path=out, hint="name a file, such as model.npz")
    of_runs = [
        {"fingerprint": config.fingerprint(run.cfg), "step": run.step, "config": asdict(run.cfg)}
        for run in runs
    ]
    write_programs(out, programs, {"versions": versions(), "runs": of_runs, **about})
    logger.info(
        "%s: %d programs for %s, %.1f MB",
        *(out, len(programs), ", ".join(PLATFORMS), out.stat().st_size / 1e6),
    )
