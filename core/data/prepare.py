"""From source files to a cache of prepared cases: resumable, and honest about what it left out.

`<cache>/<fingerprint of the preprocessing config>/` holds one folder per case and `index.json`,
which lists every file used or skipped and why. Another config makes another folder; a case whose
source files changed is made again, and the others stay.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from core import atomic
from core.data.cache import is_current, source_of, write_case
from core.errors import InputError
from core.io.paths import Skipped

INDEX = "index.json"
LEFTOVER_S = 3600

Made = tuple[Mapping[str, NDArray], Mapping[str, Any]]
"""Arrays by name, and meta: the arguments of `cache.write_case`."""


class Index(NamedTuple):
    """What a cache was made from.

    Args:
      used: case → its source files.
      skipped: files that were not used, and why.
    """

    used: Mapping[str, tuple[Path, ...]]
    skipped: tuple[Skipped, ...]


def prepare(
    folder: Path,
    files_of: Mapping[str, tuple[Path, ...]],
    make: Callable[[str], Made],
    *,
    skipped: Iterable[Skipped],
    num_threads: int,
    report: Callable[[str, str | None], None],
) -> Index:
    """Fill a cache with the cases that are not in it yet, and write its index.

    A case that raises `InputError` is skipped with its reason, and the others are done; after a
    kill, the next call goes on with what is missing.

    Args:
      folder: of the cache, named by the fingerprint of the preprocessing config.
      files_of: case → the files it is made from.
      make: case → (arrays, meta); called from several threads at once.
      skipped: files that were left out before.
      num_threads: cases in the making at a time; each holds its scan in memory.
      report: told (case, None) when one is ready, (case, reason) when one is skipped.

    Returns:
      The index, sorted by case.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sweep(folder)

    def one(case: str) -> None:
        source = source_of(files_of[case])
        if not is_current(folder, case, source):
            write_case(folder, case, *make(case), source=source)

    failures: dict[str, Skipped] = {}
    with ThreadPoolExecutor(num_threads) as pool:
        futures = {pool.submit(one, case): case for case in files_of}
        try:
            for future in as_completed(futures):
                case = futures[future]
                try:
                    future.result()
                except InputError as error:
                    path = Path(error.path or files_of[case][0])
                    failures[case] = Skipped(path, error.message)
                report(case, failures[case].reason if case in failures else None)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    index = Index(
        {case: files for case, files in sorted(files_of.items()) if case not in failures},
        (*skipped, *(failures[case] for case in sorted(failures))),
    )
    write_index(folder, index)
    return index


def write_index(folder: Path, index: Index) -> None:
    """Write `index.json` into a cache."""
    stored = {
        "version": 1,
        "used": {case: [str(path) for path in files] for case, files in index.used.items()},
        "skipped": [{"path": str(s.path), "reason": s.reason} for s in index.skipped],
    }
    atomic.write_text(folder / INDEX, json.dumps(stored, indent=2, ensure_ascii=False) + "\n")


def read_index(folder: Path) -> Index:
    """Read `index.json` of a cache.

    Raises:
      InputError: if the cache has none, so was not finished.
    """
    path = folder / INDEX
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("is not there", path=path, hint="run prepare to the end") from None
    return Index(
        {case: tuple(map(Path, files)) for case, files in stored["used"].items()},
        tuple(Skipped(Path(s["path"]), s["reason"]) for s in stored["skipped"]),
    )


def _sweep(folder: Path) -> None:
    """Remove what a killed run left aside; what is younger than an hour may be another run's."""
    for path in folder.glob(".*"):
        if time.time() - path.stat().st_mtime > LEFTOVER_S:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
