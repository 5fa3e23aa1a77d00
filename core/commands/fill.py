"""Making the cases of a data set that a cache lacks, several at a time."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from core.commands.sources import Source, Sources
from core.data.cache import is_current, open_case, source_of, write_case
from core.data.index import Contents, Entry
from core.data.splits import Split
from core.errors import InputError
from core.io import remarks
from core.io.paths import Skipped
from core.io.progress import Progress
from core.preprocess.appearance import Appearance

logger = logging.getLogger(__name__)


def fill(sources: Sources, folder: Path, *, at_a_time: int, progress: Progress) -> Contents:
    """Make the missing cases of one data set.

    Args:
      sources: its cases.
      folder: of the cache.
      at_a_time: cases in the making at once.
      progress: is told of every case that was missing.

    Returns:
      All its cases that are in the cache now, and those that could not be read.
    """
    by_id = {case.id: case for case in sources.cases}
    failures: dict[str, Skipped] = {}
    with ThreadPoolExecutor(at_a_time) as pool:
        missing = [case for case in by_id.values() if not is_made(case, folder)]
        futures = {pool.submit(_make, case, folder): case for case in missing}
        try:
            for future in as_completed(futures):
                case = futures[future]
                progress.add(1)
                if error := future.exception():
                    failures[case.id] = _failure(case, error)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    cases = {
        id_: _entry(case, folder) for id_, case in sorted(by_id.items()) if id_ not in failures
    }
    skipped = (*sources.skipped, *(failures[id_] for id_ in sorted(failures)))
    folds = tuple(_usable(sources.folds, cases))
    return Contents(cases, skipped, folds, sources.provenance)


def is_made(case: Source, folder: Path) -> bool:
    """Whether a case is in a cache, made from its files as they are now."""
    try:
        return is_current(folder, case.id, source_of(case.files, case.labels))
    except InputError:  # a file is gone: making the case tells so
        return False


def _make(case: Source, folder: Path) -> None:
    source = source_of(case.files, case.labels)
    with remarks.kept() as lines:
        arrays, meta = case.read()
    write_case(folder, case.id, arrays, {**meta, "remarks": lines}, source=source)
    logger.debug("prepared %s", case.id)


def _entry(case: Source, folder: Path) -> Entry:
    """What the index has of a case that was made."""
    meta = open_case(folder, case.id).meta
    scans = tuple(map(Appearance.from_json, meta.get("scans", ())))
    told = tuple(meta["remarks"])
    return Entry(case.files, case.patient, case.facts, told, meta["digest"], scans)


def _failure(case: Source, error: BaseException) -> Skipped:
    """A labelled case that was lost: any error of its own becomes its reason."""
    if not isinstance(error, Exception):
        raise error
    if isinstance(error, InputError):
        reason = f"{error.message}; {error.hint}" if error.hint else error.message
        skipped = Skipped(Path(error.path or case.files[0]), reason, True)
    else:
        skipped = Skipped(case.files[0], f"{type(error).__name__}: {error}", True)
    logger.error("skipped %s: %s", case.id, skipped.reason)
    return skipped


def _usable(folds: Sequence[Split], cases: Mapping[str, Entry]) -> Iterator[Split]:
    """Prescribed folds without the cases that were left out."""
    for fold in folds:
        train, test = (tuple(i for i in side if i in cases) for side in (fold.train, fold.test))
        yield Split(train, test)
