"""Resumable index of the headers of a folder in sqlite, for 100,000 files and more.

It keeps one row per file that was read, and one per slice in it. A file is read again only if its
size or modification time changed, or if it was damaged, since it may have been copied again.
Rows are committed in batches: a process that is killed loses at most one. Memory holds one batch,
or the frames of one series, whichever is larger.
"""

import collections
import contextlib
import itertools
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core.io.dicom.slice_header import SliceHeader, from_text, to_text
from core.io.progress import Progress
from core.names import escaped

LOG = logging.getLogger(__name__)

BATCH, PER_TASK = 500, 20  # files
# Raise it whenever the same file gives other rows: an older journal is then read anew.
FORMAT = 2
UNREAD, READ_BEFORE, READ_NOW = 0, 1, 2

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS files
  (key BLOB PRIMARY KEY, size INT, mtime_ns INT, kind TEXT, reason TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS frames
  (key BLOB, number INT, series TEXT, value TEXT, PRIMARY KEY (key, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_series ON frames (series, key, number);
CREATE TEMP TABLE present
  (key BLOB PRIMARY KEY, place BLOB, size INT, mtime_ns INT, read INT DEFAULT {UNREAD})
  WITHOUT ROWID;
PRAGMA user_version = {FORMAT};
"""
_FRESH = f"""
UPDATE present SET read = {READ_BEFORE} WHERE read = {UNREAD} AND EXISTS (
  SELECT 1 FROM files WHERE files.key = present.key AND files.kind != 'error'
  AND files.size = present.size AND files.mtime_ns = present.mtime_ns)
"""

Kind = Literal["dicom", "nifti", "archive", "skipped", "error"]


class Content(NamedTuple):
    """Type of a file, from its content.

    Args:
      kind: what it holds, or that it holds nothing of use.
      reason: why, for the latter.
      frames: the images of a DICOM file.
    """

    kind: Kind
    reason: str = ""
    frames: tuple[SliceHeader, ...] = ()


class Entry(NamedTuple):
    """A file of the index: the path to show, the path to read, and its type."""

    path: Path
    place: Path
    kind: Kind
    reason: str


class Index:
    """Headers of the files that were listed since it was opened; a context manager.

    Args:
      database: where the journal is kept; None keeps it for this process alone.
    """

    def __init__(self, database: Path | None) -> None:
        self.connection = _opened(database)

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *error: object) -> None:
        self.connection.close()

    def take(self, files: Iterable[tuple[Path, Path]]) -> None:
        """Take files in: the path under which each is shown and sorted, and where it lies."""
        rows = ((key_of(path), os.fsencode(place), *_stamp(place)) for path, place in files)
        insert = "INSERT OR REPLACE INTO present VALUES (?, ?, ?, ?, 0)"
        while batch := list(itertools.islice(rows, BATCH)):
            self.connection.executemany(insert, batch)
        self.connection.execute(_FRESH)
        self.connection.commit()

    def forget_removed(self, root: Path) -> None:
        """Drop rows of files below a root that were not listed."""
        key = key_of(root)
        for table in ("files", "frames"):
            self.connection.execute(
                f"DELETE FROM {table} WHERE key > ? AND key < ? AND key NOT IN "
                "(SELECT key FROM present)",
                (key + b"\0", key + b"\1"),
            )
        self.connection.commit()

    def read(self, read: Callable[[Path], Content]) -> None:
        """Read, in threads, every listed file that the journal does not know as it is now."""
        counts = self.connection.execute("SELECT read, count(*) FROM present GROUP BY read")
        num = collections.Counter(dict(counts))
        if num[UNREAD] and num[READ_BEFORE]:
            LOG.info("%d of %d headers were read before", num[READ_BEFORE], num.total())
        with (
            ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool,
            Progress("reading headers", unit="files", total=num[UNREAD]) as progress,
        ):
            for batch in self._unread():
                # Few large tasks: a foreign file takes less time than handing it to a thread.
                tasks = [batch[i : i + PER_TASK] for i in range(0, len(batch), PER_TASK)]
                contents = pool.map(lambda task: [read(place_of(row[1])) for row in task], tasks)
                self._keep(batch, list(itertools.chain.from_iterable(contents)))
                progress.add(len(batch))

    def entries(self, kind: Kind | None = None) -> Iterator[Entry]:
        """Listed files of a kind, or all, in the order of their paths."""
        query = "SELECT key, place, kind, reason FROM present JOIN files USING (key)"
        rows = self.connection.execute(
            f"{query} WHERE kind = ? OR ? IS NULL ORDER BY key", (kind, kind)
        )
        for key, place, file_kind, reason in rows:
            yield Entry(path_of(key), place_of(place), file_kind, reason)

    def judge(self, path: Path, kind: Kind, reason: str) -> None:
        """Set what a file is, where more than its own content decides."""
        update = "UPDATE files SET kind = ?, reason = ? WHERE key = ?"
        self.connection.execute(update, (kind, escaped(reason), key_of(path)))
        self.connection.commit()

    def series(self) -> Iterator[list[tuple[bytes, SliceHeader]]]:
        """Frames with the keys of their files, series by series, in the order of their paths."""
        rows = self.connection.execute(
            "SELECT series, key, value, place FROM frames CROSS JOIN present USING (key) "
            "ORDER BY series, key, number"
        )
        for _, members in itertools.groupby(rows, key=lambda row: row[0]):
            yield [(key, from_text(value, place_of(place))) for _, key, value, place in members]

    def _unread(self) -> Iterator[list[tuple[bytes, bytes, int, int]]]:
        query = (
            f"SELECT key, place, size, mtime_ns FROM present WHERE read = {UNREAD} AND key > ? "
            "ORDER BY key LIMIT ?"
        )
        last = b""
        while batch := self.connection.execute(query, (last, BATCH)).fetchall():
            yield batch
            last = batch[-1][0]

    def _keep(
        self, batch: Sequence[tuple[bytes, bytes, int, int]], contents: list[Content]
    ) -> None:
        """Write what a batch of files holds, all of it or nothing."""
        run, keys = self.connection.executemany, [(row[0],) for row in batch]
        files: list[tuple[Any, ...]] = []
        frames: list[tuple[Any, ...]] = []
        for (key, _, size, mtime_ns), content in zip(batch, contents, strict=True):
            files.append((key, size, mtime_ns, content.kind, escaped(content.reason)))
            for number, frame in enumerate(content.frames):
                frames.append((key, number, json.dumps(frame.series), to_text(frame)))
        with self.connection:
            run("DELETE FROM frames WHERE key = ?", keys)
            run("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", files)
            run("INSERT INTO frames VALUES (?, ?, ?, ?)", frames)
            run(f"UPDATE present SET read = {READ_NOW} WHERE key = ?", keys)


def _opened(database: Path | None) -> sqlite3.Connection:
    if database is None:
        return _connected("")  # a temporary file of sqlite, which it removes
    database.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _connected(database)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        LOG.warning("%s: damaged, so every header is read again", database)
        database.unlink()
        return _connected(database)


def _connected(database: Path | str) -> sqlite3.Connection:
    connection = sqlite3.connect(database, timeout=60)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            connection.executescript("DROP TABLE files; DROP TABLE frames")
        connection.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        connection.close()
        raise
    return connection


def key_of(path: Path) -> bytes:
    """Bytes that sort as paths do, folder by folder."""
    return b"\0".join(os.fsencode(part) for part in path.parts)


def path_of(key: bytes) -> Path:
    """The path of a key."""
    return Path(*(os.fsdecode(part) for part in key.split(b"\0")))


def place_of(place: bytes) -> Path:
    """The path of a place."""
    return Path(os.fsdecode(place))


def _stamp(place: Path) -> tuple[int, int]:
    """Size and time of change; of what is gone, values that no file has."""
    with contextlib.suppress(OSError):
        status = place.stat()
        return status.st_size, status.st_mtime_ns
    return -1, -1
