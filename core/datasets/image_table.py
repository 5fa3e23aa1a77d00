"""An optional table about images: who, which T stage, where in the pancreas.

    image,patient,stage,location
    a.png,p01,T2,head

Only the column `image` is needed. It names a file by its path below the data set's folder, by its
name, or by its name without the ending; other columns are ignored; an empty cell is not known.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.csv_io import column_names, read_rows
from core.errors import InputError

COLUMNS = ("patient", "stage", "location")
Rows = dict[Path, Mapping[str, str]]


def find_table(root: Path) -> Path | None:
    """The one CSV file in a folder that has a column `image`.

    Raises:
      InputError: there are several.
    """
    tables = [path for path in sorted(root.glob("*.csv")) if "image" in column_names(path)]
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise InputError(f"several tables with a column image: {names}", path=root, hint="keep one")
    return tables[0] if tables else None


def read_table(path: Path, images: Iterable[Path], root: Path) -> tuple[Rows, list[str]]:
    """Rows of a table by the image they speak of.

    Args:
      path: the CSV file; comma, semicolon or tab, UTF-8.
      images: files it may speak of.
      root: folder that paths in it start from.

    Returns:
      Rows with the columns that are filled, and the names for which there is no image.

    Raises:
      InputError: a name fits several images, or an image has two different rows.
    """
    places, unknown = _places(images, root), []
    rows: Rows = {}
    for row in read_rows(path):
        name = row.get("image", "")
        if not name:
            continue
        fits = places.get(name) or places.get(Path(name).stem) or set()
        if len(fits) > 1:
            raise InputError(
                f"{name!r} fits {len(fits)} images", path=path, hint="write the path of the file"
            )
        known = {column: row[column] for column in COLUMNS if row.get(column)}
        if not fits:
            unknown.append(name)
            continue
        (image,) = fits
        if rows.setdefault(image, known) != known:
            raise InputError(f"two rows about {name!r} differ", path=path, hint="keep one")
    return rows, unknown


def _places(images: Iterable[Path], folder: Path) -> dict[str, set[Path]]:
    """Everything that an image may be called, and the images that are."""
    places: dict[str, set[Path]] = defaultdict(set)
    for image in images:
        path = image.relative_to(folder)
        for name in (path.as_posix(), path.with_suffix("").as_posix(), path.name, path.stem):
            places[name].add(image)
    return places
