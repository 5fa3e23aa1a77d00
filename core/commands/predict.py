"""A paper's job on new cases: every case attempted, on disk when it ends, and accounted for."""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from core import atomic, json_io, malloc
from core.commands import results
from core.commands.shards import WHOLE, Shard
from core.config import fingerprint
from core.data.cache import source_of
from core.errors import InputError
from core.infer.load import Run, held_out
from core.io.paths import Skipped, files_at
from core.io.remarks import remark
from core.lock import LOCK, one_of_the_writers, only_writer
from core.names import normal
from core.preprocess.appearance import Appearance, Seen, differences
from core.report.manifest import manifest
from core.train.run_folder import PARTS

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Scan(Protocol):
    """A case to work on."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def path(self) -> Path: ...  # noqa: D102


class Answer(NamedTuple):
    """What came out for one case.

    Args:
      row: its line in results.json.
      digests: of its images, which tell whether a run learned from them.
      details: what cases/<id>/prediction.json has besides.
      scans: files or folders of the case's CT scans, and what each scan is like.
    """

    row: Mapping[str, Any]
    digests: Sequence[str]
    details: Mapping[str, Any] = {}
    scans: Sequence[tuple[Path, Appearance]] = ()


class Job(NamedTuple):
    """What is asked of which runs.

    Args:
      command: such as "s4c screen".
      runs: the networks.
      choices: operating choices that were overridden, "section.field" → value.
      options: other flags that change what is written.
      facts: what else results.json tells of the whole call.
    """

    command: str
    runs: Sequence[Run]
    choices: Mapping[str, Any]
    options: Mapping[str, Any]
    facts: Mapping[str, Any]


def predict(
    scans: Collection[Scan],
    work: Callable[[Any, Path], Answer],
    out: Path,
    job: Job,
    *,
    skipped: Sequence[Skipped],
    devices: Sequence[Any],
    page: Callable[[Mapping[str, Any], Path], str],
    summary: Callable[[Mapping[str, Any]], str],
    paths: Callable[[Any], Sequence[Path]] = lambda scan: [scan.path],
    shard: Shard = WHOLE,
) -> int:
    """Work on every scan; write cases/<id>/, results.json and report.html.

    A case that an earlier call into `out` finished, with the same input, runs and choices, is not
    done again. Any error of a case, out of memory included, becomes that case's.

    Calls for the shards of a cohort write cases/<id>/ alone, all at once if wanted. A call for the
    whole then finds their cases done, does what is missing, and writes the rest.

    Args:
      scans: of the shard, with unique ids in the whole; may grow while they are worked on.
      work: (scan, case folder) → answer; writes masks and pictures into the folder.
      out: where to.
      job: the call.
      skipped: files that were no scans.
      devices: that the networks run on.
      page: (results, out) → report.html.
      summary: row of a finished case → a few words for the log.
      paths: scan → every file or folder that its answer depends on.
      shard: of the cohort.

    Returns:
      0 if every scan has a result, else 1.

    Raises:
      InputError: another call writes there.
    """
    malloc.keep_freed()
    if shard != WHOLE:
        with one_of_the_writers(out, shard.name):
            rows = _rows(scans, work, out, job, summary, paths, results.rows_of(shard.name))
        logger.info("shard %s is done; after all, call once without --shard", shard.name)
        return _status(rows)
    with only_writer(out):
        atomic.remove_leftovers(out)
        for path in out.glob(f"{LOCK}.*"):  # of shards that were killed
            path.unlink()
        rows = results.broken(skipped, scans)
        rows += _rows(scans, work, out, job, summary, paths, results.UNFINISHED)
        folds = {run.division.fold for run in job.runs}
        written = results.write(
            out,
            rows,
            skipped=skipped,
            provenance=manifest(
                fingerprint=" ".join(fingerprint(run.cfg) for run in job.runs),
                devices=[str(device) for device in devices],
            ),
            runs=[run.provenance() for run in job.runs],
            fold=folds.pop() if len(folds) == 1 else None,
            choices=dict(job.choices),
            **job.facts,
        )
        atomic.write_text(out / "report.html", page(written, out))
    return _status(rows)


def _status(rows: Sequence[Mapping[str, Any]]) -> int:
    return int(any(row["status"] == "failed" or row.get("num_problems") for row in rows))


def _rows(
    scans: Collection[Scan],
    work: Callable[[Any, Path], Answer],
    out: Path,
    job: Job,
    summary: Callable[[Mapping[str, Any]], str],
    paths: Callable[[Any], Sequence[Path]],
    unfinished: str,
) -> list[dict[str, Any]]:
    """Rows of all scans; those of new ones are put into the file `unfinished` as they end."""
    before, rows = results.done_before(out), []
    for number, scan in enumerate(scans, start=1):
        call = _call(scan, paths(scan), job)
        row = before.get(call)
        again = row is not None
        if row is None:
            folder = out / "cases" / scan.id
            row = results.attempt(scan.id, scan.path, partial(_attempt, scan, work, folder, job))
            row = json_io.plain({**row, "call": call})
            results.append(out, row, unfinished)
        text = "failed" if row["status"] == "failed" else f"{summary(row)}  {row['seconds']:.1f} s"
        text += "  (of an earlier call)" if again else ""
        logger.info("%d/%d  %s  %s", number, len(scans), scan.id, text)
        rows.append(row)
    return rows


def held_out_of(
    inputs: Sequence[Path], runs: Sequence[Run], cases: Callable[[Path], Mapping[str, T]]
) -> list[T]:
    """Cases of the data sets of the runs that these did not train on.

    Args:
      inputs: the data sets.
      runs: of one fold.
      cases: data set → its cases by the name that folds.json has for them.

    Raises:
      InputError: runs that held nothing out, or a held-out case that no data set has, or two.
    """
    names, known = [normal(name) for name in held_out(runs)], {}
    for data in inputs:
        of_one = {normal(name): case for name, case in cases(data).items()}
        if both := sorted(known.keys() & of_one.keys() & set(names)):
            raise InputError(f"has a case {both[0]}, and so has a data set before it", path=data)
        known |= of_one
    if absent := [name for name in names if name not in known]:
        where = inputs[0] if len(inputs) == 1 else f"{inputs[0]} … {inputs[-1]}"
        raise InputError(
            f"holds {len(names) - len(absent)} of the {len(names)} cases that {runs[0].path} held "
            f"out; {absent[0]} is not there",
            path=where,
            hint="give the data sets that it was trained on",
        )
    return [known[name] for name in names]


def _attempt(
    scan: Scan, work: Callable[[Any, Path], Answer], folder: Path, job: Job
) -> dict[str, Any]:
    answer = work(scan, folder)
    _remark_what_is_unlike(answer.scans, job.runs)
    row = {**answer.row, "part": _part(answer.digests, job.runs)}
    json_io.write_json(folder / "prediction.json", {**row, **answer.details})
    return row


def _remark_what_is_unlike(scans: Sequence[tuple[Path, Appearance]], runs: Sequence[Run]) -> None:
    """Warn of scans unlike those that networks learned from, once for those of one training."""
    names: dict[Seen, list[str]] = defaultdict(list)
    for run in runs:
        if run.division.scans is not None:
            names[run.division.scans].append(run.path.name)
    for path, scan in scans:
        for seen, of_seen in names.items():
            if told := differences(scan, seen):
                learned = f"is unlike the scans that {', '.join(of_seen)} learned from"
                remark(path, f"{learned}: {'; '.join(told)}")


def _part(digests: Sequence[str], runs: Sequence[Run]) -> str | None:
    """Part of the training data that a case belongs to: "train" if any run learned from it."""
    parts = {run.division.images.get(digest) for run in runs for digest in digests} - {None}
    return max(parts, key=PARTS.index) if parts else None  # type: ignore[arg-type]


def _call(scan: Scan, paths: Sequence[Path], job: Job) -> str:
    """Identity of a case's input and of all that its answer depends on."""
    key = [
        scan.id,  # two studies of a patient have one path
        [(str(path.absolute()), _source(path)) for path in paths],
        [(str(run.path.absolute()), run.step, fingerprint(run.cfg)) for run in job.runs],
        json_io.plain([results.VERSION, job.command, dict(job.choices), _absolute(job.options)]),
    ]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]


def _absolute(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options in which a path is the same from wherever it is given."""
    return {k: v.absolute() if isinstance(v, Path) else v for k, v in options.items()}


def _source(path: Path) -> str:
    """Identity of the files at a path; of what cannot be looked at, working on it tells why."""
    place = next(p for p in (path, *path.parents) if p.exists())  # a scan inside an archive
    try:
        return source_of(files_at(place))
    except (InputError, OSError):
        return "unreadable"
