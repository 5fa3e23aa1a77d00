"""Assigns every file of an index to a scan, or records why it belongs to none.

The answer lies in temporary tables beside the index: of 100,000 files only those of one series are
in memory at a time.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from core.io.dicom.index import Index, key_of, path_of, place_of
from core.io.dicom.pixels import equal_pixels
from core.io.dicom.series import group
from core.io.dicom.slice_header import SliceHeader, from_text
from core.io.paths import Skipped, below, unique_ids
from core.io.scans import Scan
from core.io.volume_file import ENDINGS as VOLUME_ENDINGS
from core.names import escaped

ENDINGS = (*VOLUME_ENDINGS, ".dcm", ".zip")

_SCHEMA = """
CREATE TEMP TABLE scans
  (number INTEGER PRIMARY KEY, first BLOB, first_index INT, path BLOB, id TEXT);
CREATE TEMP TABLE images (key BLOB, number INT, scan INT, rank INT, reason TEXT, is_refused INT,
  PRIMARY KEY (key, number)) WITHOUT ROWID;
CREATE TEMP TABLE refused (first BLOB, folder BLOB, reason TEXT);
CREATE INDEX temp.by_scan ON images (scan, rank);
"""


class Row(NamedTuple):
    """A file as it is shown, the id of its scan, or why it has none.

    Args:
      path: as it is shown.
      scan: id; empty where none.
      reason: empty where it has a scan.
      is_broken: whether it is damaged.
      in_refused: whether it is a slice of a series that is no volume.
    """

    path: Path
    scan: str
    reason: str
    is_broken: bool
    in_refused: bool


class Assignment:
    """Sorts the files of an index into scans.

    Args:
      index: with every file read; it stays open.
      root: what ids of scans are relative to.
      min_slices: fewer DICOM images are no volume.
    """

    def __init__(self, index: Index, root: Path, *, min_slices: int) -> None:
        self._db = index.connection
        self._db.executescript(_SCHEMA)
        for members in index.series():
            self._sort(members, min_slices)
        for entry in index.entries("nifti"):
            self._add_scan([(key_of(entry.path), 0)], entry.path)
        self._name(root)
        self._db.commit()

    def scans(self) -> Iterator[Scan]:
        """Scans in the order of their paths, with the frames of one at a time."""
        query = "SELECT number, path, id FROM scans ORDER BY first, first_index"
        for number, path, name in self._db.execute(query):
            yield self._scan(number, path_of(path), name)

    def files(self) -> Iterator[Row]:
        """Every file once, in the order of the paths."""
        query = """
        SELECT key, kind, files.reason, images.reason, is_refused, id
        FROM present JOIN files USING (key) LEFT JOIN images USING (key)
        LEFT JOIN scans ON scans.number = images.scan
        ORDER BY key, scan IS NULL, images.number"""
        rows = self._db.execute(query)
        for key, images in itertools.groupby(rows, key=lambda row: row[0]):
            # A file of several images is used if one of them is.
            _, kind, file_reason, reason, in_refused, name = next(images)
            reason = file_reason if reason is None else reason
            yield Row(path_of(key), name or "", reason, kind == "error", bool(in_refused))

    def refused(self) -> Iterator[Skipped]:
        """Series that are no volume, each at the folder of its lowest slice."""
        for folder, reason in self._db.execute("SELECT folder, reason FROM refused ORDER BY first"):
            yield Skipped(path_of(folder), reason)

    def _scan(self, number: int, path: Path, name: str) -> Scan:
        query = """
        SELECT place, value FROM images JOIN present USING (key)
        LEFT JOIN frames USING (key, number) WHERE scan = ? ORDER BY rank"""
        rows = self._db.execute(query, (number,)).fetchall()
        places = [place_of(place) for place, _ in rows]
        if rows[0][1] is None:
            return Scan(name, places[0], "nifti", (places[0],))
        texts = (value for _, value in rows)
        frames = tuple(from_text(t, p) for t, p in zip(texts, places, strict=True))
        files = tuple(dict.fromkeys(places))
        return Scan(name, path, "dicom", files, frames[0].description, frames)

    def _sort(self, members: list[tuple[bytes, SliceHeader]], min_slices: int) -> None:
        """Put the frames of one series into scans, or aside.

        They are sorted by the paths that are shown: where an archive was unpacked is by chance.
        """
        shown = [(key, replace(frame, path=path_of(key))) for key, frame in members]
        keys = {frame.path: key for key, frame in shown}
        places = {key: frame.path for key, frame in members}

        def equal(a: SliceHeader, b: SliceHeader) -> bool:
            return equal_pixels(*(replace(f, path=places[keys[f.path]]) for f in (a, b)))

        grouped = group([f for _, f in shown], min_slices=min_slices, equal=equal)
        for volume in grouped.volumes:
            images = [(keys[f.path], f.index) for f in volume]
            folders = {path_of(key).parent for key, _ in images}
            self._add_scan(images, Path(os.path.commonpath(folders)))
        for stack, reason in grouped.refused:
            images = [(keys[f.path], f.index) for f in stack]
            self._add_images(images, reason=escaped(reason), in_refused=True)
            folder = key_of(path_of(images[0][0]).parent)
            row = (min(images)[0], folder, escaped(reason))
            self._db.execute("INSERT INTO refused VALUES (?, ?, ?)", row)
        for frame, reason in grouped.duplicates:
            self._add_images([(keys[frame.path], frame.index)], reason=escaped(reason))

    def _add_scan(self, images: Sequence[tuple[bytes, int]], path: Path) -> None:
        row = (*min(images), key_of(path))
        insert = "INSERT INTO scans (first, first_index, path) VALUES (?, ?, ?)"
        self._add_images(images, scan=self._db.execute(insert, row).lastrowid)

    def _add_images(
        self,
        images: Iterable[tuple[bytes, int]],
        *,
        scan: int | None = None,
        reason: str = "",
        in_refused: bool = False,
    ) -> None:
        rows = ((*image, scan, rank, reason, in_refused) for rank, image in enumerate(images))
        self._db.executemany("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _name(self, root: Path) -> None:
        """Name each scan by its path below the root, or by its one file."""
        query = "SELECT number, first, path FROM scans ORDER BY first, first_index"
        numbers, names = [], []
        for number, first, path in self._db.execute(query):
            folder = path_of(path)
            place = folder if folder.is_relative_to(root) else path_of(first)
            numbers.append(number)
            names.append(below(place, root, ENDINGS))
        ids = unique_ids(names, instead="scan")
        update = "UPDATE scans SET id = ? WHERE number = ?"
        self._db.executemany(update, zip(ids, numbers, strict=True))
