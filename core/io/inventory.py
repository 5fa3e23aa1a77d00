"""Classify every file of a folder as used, skipped or error, and list the CT volumes.

Headers are read once and kept in an index; volumes are built series by series from it. Archives
are opened, and their members shown as if the archive was a folder: `study.zip/inner/I0001`.
"""

import contextlib
import itertools
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from core.errors import InputError
from core.io import nifti
from core.io.assignment import Assignment
from core.io.dicom.header import NotUsedError, read_frames
from core.io.dicom.index import Content, Entry, Index
from core.io.dicom.warnings import quiet
from core.io.foreign import foreign
from core.io.paths import START_BYTES, Skipped, files_at, is_shadow, summary, walk
from core.io.scans import Scan
from core.io.unpack import is_archive, scratch, unpack
from core.io.volume_file import ENDINGS, is_volume, may_be_volume

# Localizers, bolus tracking and fragments have fewer; at 5 mm a pancreas alone spans 16 slices.
MIN_SLICES = 8

Bucket = Literal["used", "skipped", "error"]
DEEPEST_ARCHIVE = 2  # an archive in an archive is opened, one in that is not


class File(NamedTuple):
    """Classification of one file.

    Args:
      path: as it is shown; a member of an archive lies below the archive's name.
      bucket: `error` is a CT file or archive that is damaged or cannot be read.
      reason: why it is not used; a slice of a refused series has the reason of the series.
      scan: the id of the scan it is part of; empty where none.
    """

    path: Path
    bucket: Bucket
    reason: str
    scan: str


class Inventory:
    """Files and CT volumes at a path; readable while `take_inventory` holds its index open."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self.counts: dict[Bucket, int] = {"used": 0, "skipped": 0, "error": 0}
        for file in self.files():
            self.counts[file.bucket] += 1

    def scans(self) -> Iterator[Scan]:
        """Volumes that can be read, one at a time, in the order of their paths."""
        return self._assignment.scans()

    def files(self) -> Iterator[File]:
        """Every file once, in the order of the paths."""
        for row in self._assignment.files():
            broken: Bucket = "error" if row.is_broken else "skipped"
            yield File(row.path, "used" if row.scan else broken, row.reason, row.scan)

    def skipped(self) -> Iterator[Skipped]:
        """What is not used: a line per refused series, then one per file that is in no series."""
        others = (
            Skipped(row.path, row.reason, row.is_broken)
            for row in self._assignment.files()
            if not row.scan and not row.in_refused
        )
        return itertools.chain(self._assignment.refused(), others)


@contextlib.contextmanager
def take_inventory(path: str | Path, *, min_slices: int, work: Path | None) -> Iterator[Inventory]:
    """Classify everything at a path, from headers alone.

    Args:
      path: a NIfTI file, a DICOM file, an archive, or a folder of any of them at any depth, among
        whatever else.
      min_slices: fewer DICOM images are no volume.
      work: keeps the index and what was unpacked, so that an interrupted look goes on from there;
        with None both are temporary, and scans can be read until the process ends.

    Raises:
      InputError: there is nothing at the path.
    """
    path = Path(path)
    files = files_at(path)
    with Index(None if work is None else work / "headers.sqlite") as index:
        with quiet():
            index.take((file, file) for file in files if not _is_ours(file, work))
            index.read(_content)
            _open_archives(index, scratch() if work is None else work)
            index.forget_removed(path)
            assignment = Assignment(index, path, min_slices=min_slices)
        yield Inventory(assignment)


def find_scans(
    path: str | Path, *, min_slices: int = MIN_SLICES
) -> tuple[list[Scan], list[Skipped]]:
    """The CT volumes at a path, and what was found and not used.

    Args:
      path: as for `take_inventory`.
      min_slices: fewer DICOM images are no volume.

    Returns:
      Scans in the order of their paths, at least one, and what was found and not used: one entry
      per foreign or damaged file, one per DICOM series that is no volume.

    Raises:
      InputError: there is nothing at the path, or nothing usable; the line says why.
    """
    with take_inventory(path, min_slices=min_slices, work=None) as inventory:
        scans, skipped = list(inventory.scans()), list(inventory.skipped())
    if not scans:
        raise InputError(f"no CT volume: {summary(skipped)}", path=path)
    return scans, skipped


def _is_ours(file: Path, work: Path | None) -> bool:
    """Whether a file was made by an earlier look, which may keep its work where it looks."""
    return work is not None and file.absolute().is_relative_to(work.absolute())


def _content(path: Path) -> Content:
    """What one file is."""
    if is_shadow(path) or path.name.startswith("."):
        return Content("skipped", "hidden or macOS shadow file")
    start = b""
    with contextlib.suppress(OSError):  # told where the file is read
        if not stat.S_ISREG(path.stat().st_mode):
            return Content("skipped", "no regular file")  # opening a pipe would wait forever
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    if is_archive(start) and path.suffix.lower() != ".npz":
        return Content("archive")
    try:
        if path.name.lower().endswith(ENDINGS) or (may_be_volume(start) and is_volume(path)):
            label = nifti.label_reason(path)
            return Content("skipped", f"no CT: {label}") if label else Content("nifti")
        return Content("dicom", "", read_frames(path))
    except InputError as error:
        return Content("error", _told(error))
    except NotUsedError as reason:
        found = foreign(path, start) if start else None
        is_broken = reason.is_broken or (found is not None and found.is_broken)
        return Content("error" if is_broken else "skipped", found.reason if found else str(reason))


def _told(error: InputError) -> str:
    return f"{error.message}; {error.hint}".removesuffix("; ")


def _open_archives(index: Index, work: Path) -> None:
    """Unpack the archives of an index and read what they hold."""
    opened: set[Path] = set()
    for depth in range(DEEPEST_ARCHIVE + 1):
        for archive in list(index.entries("archive")):
            if archive.path in opened:
                continue
            opened.add(archive.path)
            if depth == DEEPEST_ARCHIVE:
                index.judge(archive.path, "error", "an archive inside two others; unpack it first")
            else:
                _open(index, archive, work)
        index.read(_content)


def _open(index: Index, archive: Entry, work: Path) -> None:
    try:
        folder = unpack(archive.place, work / "unpacked")
    except InputError as error:
        index.judge(archive.path, "error", _told(error))
        return
    if folder is None:
        index.judge(archive.path, "skipped", "a document or program packed as an archive")
        return
    index.take((archive.path / file.relative_to(folder), file) for file in walk(folder))
    index.judge(archive.path, "archive", "an archive; its files are listed on their own")
