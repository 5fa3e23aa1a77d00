"""Preparing data sets: from files to a cache, resumable, and honest about what it left out.

Several data sets share a cache: each adds its cases and keeps the others'. Another preprocessing
config makes another folder in it; a case whose source files changed is made again.
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core import atomic
from core.commands.audit import log_leakage
from core.commands.fill import fill, is_made
from core.commands.outlook import require_room
from core.commands.sources import Sources
from core.data.cache import CachedCase, open_case
from core.data.index import Contents, Entry, Index, caches_in, has_index, read_index, write_index
from core.data.index import cases_of as cases_of_index
from core.datasets.label_names import LabelNames
from core.datasets.prescribed_folds import FOLDS
from core.errors import InputError
from core.io.progress import Progress
from core.lock import only_writer

logger = logging.getLogger(__name__)


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
      InputError: no usable case, a case id that another data set of the cache has, less room on
        the disk than the cases will take, or another call that writes there.
    """
    with only_writer(folder):
        atomic.remove_leftovers(folder)
        return _prepare(data_sets, folder, at_a_time)


def _prepare(data_sets: Sequence[Sources], folder: Path, at_a_time: int) -> int:
    index = dict(read_index(folder)) if _is_readable(folder) else {}
    missing = [case for of_one in data_sets for case in of_one.cases if not is_made(case, folder)]
    require_room(missing, folder)
    with Progress("preparing", unit="cases", total=len(missing)) as progress:
        for sources in data_sets:
            root = sources.root.resolve()
            index = _without_moved(index, root, sources, folder)
            index[root] = fill(sources, folder, at_a_time=at_a_time, progress=progress)
            write_index(folder, index)
            _log_contents(sources.root, index[root])
            if _leaves_folds_out(sources):
                note = "%s: %s is not used: folds are cut by --split.*"
                logger.warning(note, sources.root, FOLDS)
    log_leakage(index, folder)
    contents = [index[sources.root.resolve()] for sources in data_sets]
    if not any(part.cases for part in contents):
        reasons = [skipped.reason for part in contents for skipped in part.skipped]
        hint = reasons[0] if reasons else "it is empty"
        raise InputError("has no usable case", path=data_sets[0].root, hint=hint)
    return sum(skipped.is_broken for part in contents for skipped in part.skipped)


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
    labels: LabelNames | None = None,
) -> Path:
    """Cache of a preprocessing config: one that `prepare` wrote, or made now of data sets.

    Args:
      data: one cache folder, or data sets.
      name: folder name of the wanted preparation, its fingerprint.
      prepare_into: (data sets, cache folder) → prepares them.
      workdir: run folder; data sets are prepared into `workdir/prepared`.
      command: prepares as wanted, with its flags.
      labels: what label names mean; without, what they were said to mean when it was prepared.

    Raises:
      InputError: a cache that was prepared otherwise, or a cache among data sets.
    """
    for path in data:
        if has_index(path / name):
            if len(data) > 1:
                hint = "prepare all data sets into one cache, and give that"
                raise InputError("is a cache, and others are given beside it", path=path, hint=hint)
            if labels is not None:
                require_labels(path / name, labels)
            return path / name
        if next(caches_in(path), None):
            raise InputError("is prepared otherwise than the recipe wants", path=path, hint=command)
    prepare_into(data, workdir / "prepared")
    return workdir / "prepared" / name


def require_labels(folder: Path, labels: LabelNames) -> None:
    """Refuse a cache in which label names mean something else.

    Args:
      folder: of the cache.
      labels: what they are to mean.

    Raises:
      InputError: `prepare` was told otherwise.
    """
    recorded = [part.provenance.get("labels", {}) for part in read_index(folder).values()]
    if not labels.made(recorded):
        told = {name: word for said in recorded for name, word in said.items()}
        listed = ",".join(f"{name}={word}" for name, word in told.items())
        raise InputError(
            f"was prepared with {f'--labels {listed}' if listed else 'no --labels'}",
            path=folder,
            hint="prepare the data sets again, or say the same",
        )


def _leaves_folds_out(sources: Sources) -> bool:
    """Whether there is a splits_final.json that the layout, or the paper, has no use for."""
    is_skipped = any(skipped.path.name == FOLDS for skipped in sources.skipped)
    return is_skipped or (not sources.folds and (sources.root / FOLDS).is_file())


def _without_moved(
    index: Index, root: Path, sources: Sources, folder: Path
) -> dict[Path, Contents]:
    """Index without the cases that this data set brings itself: it was moved, or is the same.

    Raises:
      InputError: two data sets have different cases of one id.
    """
    kept = {}
    by_id = {case.id: case for case in sources.cases}
    for other, contents in index.items():
        shared = contents.cases.keys() & by_id.keys() if other != root else ()
        for id_ in shared:
            if not is_made(by_id[id_], folder):
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
