"""Every file at hand through the readers: `python -m tests.real_files docs/inputs.md DATA …`.

Each file ends as a scan or a picture that was read, as skipped with its reason, or as an error with
its line. The table of the counts replaces the one in the document.
"""

import argparse
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from core.errors import InputError
from core.io import remarks
from core.io.images import find_images, read_frames
from core.io.inventory import take_inventory
from core.io.paths import walk
from core.io.scans import read_scan

PACKAGES = ("pydicom", "nibabel", "highdicom", "data_store", "skimage")
"""Installed ones with files of images in them; `data_store` is pydicom-data."""
BEGIN, END = "<!-- real files: begin -->", "<!-- real files: end -->"
MIN_SLICES = 2


class Counts(NamedTuple):
    """What became of the files of a collection."""

    files: int
    scans: int
    in_scans: int
    pictures: int
    skipped: int
    errors: int
    remarks: int


def count(root: Path) -> Counts:
    """Read everything below a folder, as scans and then as pictures."""
    files = set(walk(root))
    with remarks.kept() as lines:
        scans, used, errors = _scans(root)
        shown, broken = _pictures(root)
    used, pictures = used & files, shown & files - used
    errors = (errors | broken) & files - used - pictures
    skipped = files - used - pictures - errors
    return Counts(
        len(files), scans, len(used), len(pictures), len(skipped), len(errors), len(lines)
    )


def _scans(root: Path) -> tuple[int, set[Path], set[Path]]:
    """Scans that were read, their files, and files with an error."""
    read, used, errors = 0, set(), set()
    with take_inventory(root, min_slices=MIN_SLICES, work=None) as inventory:
        for scan in inventory.scans():
            try:
                read_scan(scan)
            except InputError:
                errors.update(scan.files)
            else:
                read += 1
                used.update(scan.files)
        for file in inventory.files():
            if not file.scan and not file.reason:
                raise AssertionError(f"{file.path} is neither used nor told about")
            if file.bucket == "error":
                errors.add(file.path)
    return read, used, errors


def _pictures(root: Path) -> tuple[set[Path], set[Path]]:
    """Files of pictures that were read, and those that could not be."""
    shown, broken = set(), set()
    try:
        sources, skipped = find_images(root)
    except InputError:
        return shown, broken
    broken.update(file.path for file in skipped if file.is_broken)
    for source in sources:
        try:
            for _ in read_frames(source):
                pass
        except InputError:
            broken.add(source.path)
        else:
            shown.add(source.path)
    return shown, broken


def collections(data: list[Path]) -> Iterator[tuple[str, Path]]:
    """Name and folder of each: the folders of data sets, then the files inside of packages."""
    for root in data:
        yield from (
            (f"{root.name}/{sub.name}", sub) for sub in sorted(root.iterdir()) if sub.is_dir()
        )
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            yield f"files inside `{package}`", Path(next(iter(spec.submodule_search_locations)))


def table(data: list[Path]) -> str:
    """Markdown table of the counts."""
    head = ("collection", "files", "scans", "in scans", "pictures", "skipped", "errors", "remarks")
    rows = [head, tuple("---" for _ in head)]
    rows += [(name, *map(str, count(root))) for name, root in collections(data)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Count, and put the table into the document."""
    parser = argparse.ArgumentParser(prog="python -m tests.real_files")
    parser.add_argument("document", type=Path)
    parser.add_argument("data", type=Path, nargs="*", help="folders of data sets")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    text, new = args.document.read_text("utf-8"), table(args.data)
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    args.document.write_text(f"{before}{BEGIN}\n{new}\n{END}{after}", "utf-8")
    print(new)


if __name__ == "__main__":
    main()
