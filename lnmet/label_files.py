"""Where the label maps of cases lie that are kept apart from a data set."""

from collections.abc import Iterable
from pathlib import Path

from core.io.paths import on_disk
from core.io.volume_file import ENDINGS

SEGMENTATION = "segmentation.nii.gz"
"""Of a case in the output of `lnmet segment`."""


def map_of(folder: Path, case_id: str) -> Path | None:
    """Label map of a case, in the output of `lnmet segment` or as <case>.nii.gz, if it has one.

    A file is the label map of the only case that there is.
    """
    if folder.is_file():
        return folder
    places = (
        folder / "cases" / case_id / SEGMENTATION,
        *(folder / f"{case_id}{ending}" for ending in ENDINGS),
    )
    return next((path for path in map(on_disk, places) if path.is_file()), None)


def maps_of(folders: Iterable[Path | None], case_id: str) -> list[Path]:
    """Label maps of a case in several folders, of those that are given and have one."""
    maps = (map_of(folder, case_id) for folder in folders if folder is not None)
    return [path for path in maps if path is not None]
