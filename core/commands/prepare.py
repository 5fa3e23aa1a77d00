"""Preparing data sets: from files to a cache, resumable, and honest about what it left out.

Several data sets share a cache: each adds its cases and keeps the others'. Another preprocessing
config makes another folder in it; a case whose source files changed is made again.
"""

import hashlib
import logging
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.cache import CachedCase, is_current, open_case, source_of, write_case
from core.data.index import Contents, Entry, Index, caches_in, has_index, read_index, write_index
from core.data.index import cases_of as cases_of_index
from core.data.splits import Split
from core.datasets.prescribed_folds import FOLDS
from core.errors import InputError
from core.io import remarks
from core.io.paths import Skipped

logger = logging.getLogger(__name__)

LEFTOVER_S = 3600
Made = tuple[Mapping[str, NDArray], Mapping[str, Any]]
"""Arrays by name, and meta: the arguments of `cache.write_case`."""


class Source(NamedTuple):
    """A labelled case of a data set before it is read."""

    id: str
    patient: str
    files: tuple[Path, ...]
    read: Callable[[], Made]
    facts: Mapping[str, Any] = {}
    """What tables say of it; kept in the index, so that a mended table needs no new reading."""


class Sources(NamedTuple):
    """The labelled cases of a data set, and what was left out of it."""

    root: Path
    cases: Sequence[Source]
    skipped: Sequence[Skipped] = ()
    folds: Sequence[Split] = ()
    """Splits that the data set prescribes."""


class Case(NamedTuple):
    """A prepared case: its entry in the index, its arrays on disk, and its meta."""

    id: str
    entry: Entry
    stored: CachedCase


def prepare(data_sets: Sequence[Sources], folder: Path, *, at_a_time: int) -> int:
    """Fill a cache with the cases that are not in it yet, and write its index.

    A case that cannot be read is left out with its reason and the others are done; after a kill,
    the next call goes on with what is missing.

    Args:
      data_sets: what to prepare.
      folder: of the cache, named by the fingerprint of the preprocessing config.
      at_a_time: cases in the making at once; each holds its scan in memory.

    Returns:
      Labelled cases that were left out: 0 if there is none.

    Raises:
      InputError: no usable case, or a case id that another data set of the cache has.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(folder)
    index = dict(read_index(folder)) if _is_readable(folder) else {}
    for sources in data_sets:
        root = sources.root.resolve()
        index = _without_moved(index, root, sources, folder)
        index[root] = _fill(sources, folder, at_a_time)
        write_index(folder, index)
        _log_contents(sources.root, index[root])
        if _leaves_folds_out(sources):
            logger.warning("%s: %s is not used: folds are cut by --split.*", sources.root, FOLDS)
    contents = [index[sources.root.resolve()] for sources in data_sets]
    if not any(part.cases for part in contents):
        reasons = [skipped.reason for part in contents for skipped in part.skipped]
        hint = reasons[0] if reasons else "it is empty"
        raise InputError("has no usable case", path=data_sets[0].root, hint=hint)
    return sum(skipped.is_broken for part in contents for skipped in part.skipped)


def sources_of(
    data: Any,
    make: Callable[[Any], Made],
    facts: Callable[[Any], Mapping[str, Any]] = lambda case: {},
) -> Sources:
    """Labelled cases of a data set as its reader gives them.

    Args:
      data: with `root`, `cases` (each with `id`, `patient` and `files`), `skipped` and `folds`.
      make: case → arrays and meta.
      facts: case → what tables say of it.
    """
    folds = [Split(fold.train, fold.val) for fold in data.folds]
    cases = [Source(c.id, c.patient, c.files, partial(make, c), facts(c)) for c in data.cases]
    return Sources(data.root, cases, data.skipped, folds)


def load(folder: Path) -> list[Case]:
    """Every prepared case of a cache, sorted by id; arrays stay on disk."""
    entries = cases_of_index(read_index(folder))
    return [Case(id_, entry, open_case(folder, id_)) for id_, entry in entries.items()]


def warn_of_empty_classes(
    cases: Sequence[Any], classes: Mapping[str, Callable[[Any], bool]]
) -> None:
    """Log how many cases and patients each class has, as a warning where one has none.

    Args:
      cases: prepared cases, each with a `patient`.
      classes: name → whether a case belongs to it.
    """
    counts = {name: sum(map(belongs, cases)) for name, belongs in classes.items()}
    patients = len({case.patient for case in cases})
    listed = ", ".join(f"{count} {name}" for name, count in counts.items())
    level = logging.INFO if all(counts.values()) else logging.WARNING
    logger.log(level, "%d cases of %d patients: %s", len(cases), patients, listed)


def find_cache(
    data: Sequence[Path],
    name: str,
    *,
    prepare_into: Callable[[Sequence[Path], Path], object],
    workdir: Path,
    command: str,
) -> Path:
    """Cache of a preprocessing config: one that `prepare` wrote, or made now of data sets.

    Args:
      data: one cache folder, or data sets.
      name: folder name of the wanted preparation, its fingerprint.
      prepare_into: (data sets, cache folder) → prepares them.
      workdir: run folder; data sets are prepared into `workdir/prepared`.
      command: prepares as wanted, with its flags.

    Raises:
      InputError: a cache that was prepared otherwise, or a cache among data sets.
    """
    for path in data:
        if has_index(path / name):
            if len(data) > 1:
                hint = "prepare all data sets into one cache, and give that"
                raise InputError("is a cache, and others are given beside it", path=path, hint=hint)
            return path / name
        if next(caches_in(path), None):
            raise InputError("is prepared otherwise than the recipe wants", path=path, hint=command)
    prepare_into(data, workdir / "prepared")
    return workdir / "prepared" / name


def digest(array: NDArray) -> str:
    """Identity of an image by its content, whatever its file is called: of its rounded voxels.

    Args:
      array: HU or gray values (d, ...) in the orientation that networks see.
    """
    content = hashlib.blake2b(repr(array.shape).encode(), digest_size=12)
    for section in array:  # by slice: no copy of a whole scan
        content.update(np.rint(section).astype(np.int16).tobytes())
    return content.hexdigest()


def _fill(sources: Sources, folder: Path, at_a_time: int) -> Contents:
    """Make the missing cases of one data set."""
    by_id = {case.id: case for case in sources.cases}
    failures: dict[str, Skipped] = {}
    with ThreadPoolExecutor(at_a_time) as pool:
        futures = {pool.submit(_make, case, folder): case for case in by_id.values()}
        try:
            for future in as_completed(futures):
                case = futures[future]
                if error := future.exception():
                    failures[case.id] = _failure(case, error)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    cases = {
        id_: Entry(case.files, case.patient, case.facts, _remarks(folder, id_))
        for id_, case in sorted(by_id.items())
        if id_ not in failures
    }
    skipped = (*sources.skipped, *(failures[id_] for id_ in sorted(failures)))
    return Contents(cases, skipped, tuple(_usable(sources.folds, cases)))


def _leaves_folds_out(sources: Sources) -> bool:
    """Whether there is a splits_final.json that the layout, or the paper, has no use for."""
    is_skipped = any(skipped.path.name == FOLDS for skipped in sources.skipped)
    return is_skipped or (not sources.folds and (sources.root / FOLDS).is_file())


def _make(case: Source, folder: Path) -> None:
    source = source_of(case.files)
    if not is_current(folder, case.id, source):
        with remarks.kept() as lines:
            arrays, meta = case.read()
        write_case(folder, case.id, arrays, {**meta, "remarks": lines}, source=source)
    logger.debug("prepared %s", case.id)


def _remarks(folder: Path, id_: str) -> tuple[str, ...]:
    """What was remarked on a case when it was made."""
    return tuple(open_case(folder, id_).meta["remarks"])


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


def _without_moved(
    index: Index, root: Path, sources: Sources, folder: Path
) -> dict[Path, Contents]:
    """Index without the cases that this data set brings itself: it was moved, or is the same.

    Raises:
      InputError: two data sets have different cases of one id.
    """
    kept = {}
    files = {case.id: case.files for case in sources.cases}
    for other, contents in index.items():
        shared = contents.cases.keys() & files.keys() if other != root else ()
        for id_ in shared:
            if not is_current(folder, id_, source_of(files[id_])):
                raise InputError(
                    f"has a case {id_!r}, and so has {other}, which is in the cache",
                    path=root,
                    hint="rename the cases of one, or prepare into another cache",
                )
        cases = {id_: entry for id_, entry in contents.cases.items() if id_ not in shared}
        kept[other] = contents._replace(cases=cases) if cases or not shared else None
    return {other: contents for other, contents in kept.items() if contents is not None}


def _log_contents(root: Path, contents: Contents) -> None:
    reasons = Counter(re.split("[:;]", s.reason)[0] for s in contents.skipped)
    left_out = ", ".join(f"{count} × {reason}" for reason, count in reasons.most_common(3))
    logger.info(
        "%s: %d cases prepared, %d files not used%s",
        root,
        len(contents.cases),
        len(contents.skipped),
        f" ({left_out})" if left_out else "",
    )


def _is_readable(folder: Path) -> bool:
    """Whether the cache has an index of this version; an older one is replaced."""
    try:
        return bool(read_index(folder))
    except InputError:
        return False


def _remove_leftovers(folder: Path) -> None:
    """Remove what a killed run left aside; what is younger than an hour may be another run's."""
    for path in folder.glob(".*"):
        if time.time() - path.stat().st_mtime > LEFTOVER_S:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
