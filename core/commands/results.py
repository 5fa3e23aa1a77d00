"""results.json: a row for each case of a command, whatever happened to it."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from core import atomic, json_io
from core.errors import InputError
from core.io import remarks
from core.io.assignment import ENDINGS as CT_ENDINGS
from core.io.image.still import ENDINGS as IMAGE_ENDINGS
from core.io.image.video import ENDINGS as VIDEO_ENDINGS
from core.io.paths import Named, Skipped, below, unique_ids

logger = logging.getLogger(__name__)

VERSION = 3
ENDINGS = (*CT_ENDINGS, *IMAGE_ENDINGS, *VIDEO_ENDINGS)
RESULTS, UNFINISHED = "results.json", ".results.jsonl"
"""Written at the end; and meanwhile, a line for each case that is done. Each shard of a cohort has
a file of its own, `.results.0of4.jsonl`."""


def attempt(case_id: str, source: Path, work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Row of one case; whatever goes wrong with it becomes its error, and the others go on.

    Args:
      case_id: of the case.
      source: its file or folder.
      work: does it, and tells what came out.

    Returns:
      "id", "input", "status" ("done" or "failed"), what `work` told or "error", "remarks" on its
      input, and "seconds".
    """
    start = time.perf_counter()
    # Whoever evaluates it may be in another folder.
    row: dict[str, Any] = {"id": case_id, "input": source.absolute(), "status": "done"}
    with remarks.kept() as lines:
        try:
            row |= work()
        except Exception as error:
            text = _explained(error, source)
            logger.error("%s", text, exc_info=logger.isEnabledFor(logging.DEBUG))
            row |= {"status": "failed", "error": text}
    row["remarks"] = lines
    row["seconds"] = time.perf_counter() - start
    return row


def broken(skipped: Sequence[Skipped], cases: Iterable[Named] = ()) -> list[dict[str, Any]]:
    """Failed rows of the files that promise a case by their name, and hold none that can be read.

    Args:
      skipped: files that were no cases.
      cases: those that can be read, whose ids are taken.
    """
    files = [file for file in skipped if file.is_broken]
    taken = [case.id for case in cases] if files else []
    names = [below(file.path, file.path, ENDINGS) for file in files]
    ids = unique_ids([*taken, *names], instead="case")[len(taken) :]

    def refuse(file: Skipped) -> dict[str, Any]:
        raise InputError(file.reason, path=file.path)

    return [
        attempt(id_, file.path, partial(refuse, file)) for id_, file in zip(ids, files, strict=True)
    ]


def append(out: Path, row: Mapping[str, Any], file: str = UNFINISHED) -> None:
    """Put the row of a finished case on disk, before the next case begins.

    A line that a kill, or a full disk, cut short goes, so that this one does not continue it.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / file
    if path.is_file():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    with atomic.named(path), path.open("a", encoding="utf-8") as lines:
        lines.write(json_io.line(row))


def done_before(out: Path) -> dict[str, dict[str, Any]]:
    """Rows of earlier calls into the same folder, by their "call"; failed cases are tried again."""
    rows = []
    if (out / RESULTS).is_file():
        rows += json_io.read_json(out / RESULTS).get("cases", [])
    for path in _unfinished(out):
        rows += json_io.read_lines(path)
    return {row["call"]: row for row in rows if row["status"] == "done" and "call" in row}


def rows_of(shard: str) -> str:
    """Name of the file for the finished cases of a shard."""
    return UNFINISHED.replace(".jsonl", f".{shard}.jsonl")


def _unfinished(out: Path) -> list[Path]:
    return sorted(out.glob(".results*.jsonl"))


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
    json_io.write_json(out / RESULTS, results)
    for path in _unfinished(out):
        path.unlink()
    return json_io.plain(results)


def read(folder: Path, command: str) -> dict[str, Any]:
    """Content of the results.json that a command wrote.

    Raises:
      InputError: there is none, or one of an older version.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise InputError("holds no results.json", path=folder, hint=f"give the --out of {command}")
    results = json_io.read_json(path)
    if results.get("version") != VERSION:
        hint = f"run {command} again"
        raise InputError(f"is of version {results.get('version')}", path=path, hint=hint)
    return results


def _explained(error: Exception, source: Path) -> str:
    """One line for what went wrong with a case."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return f"{source}: out of memory; lower --infer.batch, or free the machine"
    if isinstance(error, InputError | OSError):
        return text
    return f"{source}: {type(error).__name__}: {text}; --debug shows where"
