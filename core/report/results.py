"""What a command leaves about new cases: results.json with a line for each, whatever happened."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core import json_io
from core.errors import InputError, RunError
from core.io.paths import Skipped, unique_ids

logger = logging.getLogger(__name__)

VERSION = 1


def attempt(case_id: str, source: Path, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Row of one case; what goes wrong with it becomes its error, and the others go on.

    Args:
      case_id: of the case.
      source: its file or folder.
      work: does it, and tells what came out.

    Returns:
      "id", "input", "status" ("done" or "failed"), what `work` told or "error", and "seconds".
    """
    start = time.perf_counter()
    row: dict[str, Any] = {"id": case_id, "input": source, "status": "done"}
    try:
        row |= work()
    except (InputError, RunError, OSError) as error:
        logger.error("%s", error)
        row |= {"status": "failed", "error": str(error)}
    row["seconds"] = time.perf_counter() - start
    return row


def broken(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    """Failed rows of the files that promise a case by their name, and hold none that can be read.

    Args:
      skipped: files that were no cases.
    """
    files = [one for one in skipped if one.is_broken]
    ids = unique_ids([one.path.name for one in files], instead="case")

    def refuse(one: Skipped) -> dict[str, Any]:
        raise InputError(one.reason, path=one.path)

    return [
        attempt(id_, one.path, partial(refuse, one)) for id_, one in zip(ids, files, strict=True)
    ]


def any_failed(cases: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a case has no result."""
    return any(case["status"] == "failed" for case in cases)


def write(
    out: Path,
    cases: Sequence[Mapping[str, Any]],
    *,
    skipped: Sequence[Skipped],
    provenance: Mapping[str, Any],
    **more: Any,
) -> dict[str, Any]:
    """Write OUT/results.json and return its content.

    Args:
      out: OUT.
      cases: rows of `attempt` and `broken`.
      skipped: files that were no cases; broken ones have their row already.
      provenance: a `core.report.manifest`.
      more: what else the command wants to keep.
    """
    results = {"version": VERSION, "manifest": provenance, **more, "cases": cases}
    results["skipped"] = [{"path": s.path, "reason": s.reason} for s in skipped if not s.is_broken]
    json_io.write_json(out / "results.json", results)
    return results


def read(folder: Path, command: str) -> dict[str, Any]:
    """Content of the results.json that a command wrote.

    Raises:
      InputError: there is none.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise InputError("holds no results.json", path=folder, hint=f"give the --out of {command}")
    return json_io.read_json(path)
