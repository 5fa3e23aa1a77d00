"""`index.json` of a cache: which files of which data sets it was made from, and what it left out.

`<cache>/<fingerprint of the preprocessing config>/` holds one folder per case and this index. Data
sets are listed by their root folder, so preparing another one into the same cache adds to it. It
also lists the cases that have one image, and the patients of several data sets: `cases_of` gives
each of these one name, so that no split has them on both sides.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core import json_io
from core.data.leakage import in_several, joined_patients, same_images
from core.data.splits import Split
from core.errors import InputError
from core.io.paths import Skipped
from core.preprocess.appearance import Appearance

INDEX, VERSION = "index.json", 4


class Entry(NamedTuple):
    """One prepared case.

    Args:
      files: its source files.
      patient: whose it is, as the data set tells; cases of one patient stay on one side of every
        split.
      facts: what the data set's tables say of it, such as the contrast phase.
      remarks: what was corrected in its files, or is in doubt.
      digest: of its image, whatever its file is called.
      scans: what each of its scans is like; none of pictures, or from a cache of older versions.
    """

    files: tuple[Path, ...]
    patient: str
    facts: Mapping[str, Any]
    remarks: tuple[str, ...] = ()
    digest: str = ""
    scans: tuple[Appearance, ...] = ()


class Contents(NamedTuple):
    """What a cache holds of one data set.

    Args:
      cases: by id, sorted.
      skipped: files that were not used, and why; `is_broken` marks a labelled case that was lost.
      folds: splits that the data set prescribes (nnU-Net's splits_final.json), by case.
      provenance: what else tells where the labels come from: their commit, and what the user said
        that their names mean.
    """

    cases: Mapping[str, Entry]
    skipped: tuple[Skipped, ...] = ()
    folds: tuple[Split, ...] = ()
    provenance: Mapping[str, Any] = {}


Index = Mapping[Path, Contents]
"""Contents by the root folder of the data set."""


def cases_of(index: Index) -> dict[str, Entry]:
    """Cases of all data sets, sorted by id; those of one image are of one patient."""
    entries = dict(sorted((id_, e) for part in index.values() for id_, e in part.cases.items()))
    patients = joined_patients({id_: e.patient for id_, e in entries.items()}, copies(index))
    return {id_: entry._replace(patient=patients[id_]) for id_, entry in entries.items()}


def copies(index: Index) -> list[tuple[str, ...]]:
    """Groups of cases that have one image."""
    return same_images({id_: e.digest for part in index.values() for id_, e in part.cases.items()})


def shared_patients(index: Index) -> dict[str, list[Path]]:
    """Patients whose name several data sets have, and which."""
    return in_several(
        {root: [e.patient for e in part.cases.values()] for root, part in index.items()}
    )


def prescribed_folds(index: Index) -> tuple[Split, ...]:
    """Folds that the data sets prescribe, if these cover every case; else none."""
    parts = list(index.values())
    numbers = {len(part.folds) for part in parts}
    whole = all({*f.train, *f.test} == set(part.cases) for part in parts for f in part.folds)
    if len(numbers) != 1 or not whole:
        return ()
    return tuple(
        Split(
            tuple(sorted(id_ for fold in folds for id_ in fold.train)),
            tuple(sorted(id_ for fold in folds for id_ in fold.test)),
        )
        for folds in zip(*(part.folds for part in parts), strict=True)
    )


def write_index(folder: Path, index: Index) -> None:
    """Write `index.json` into a cache."""
    stored = {str(root): _plain(contents) for root, contents in sorted(index.items())}
    found = {"same_image": copies(index), "same_patient": shared_patients(index)}
    json_io.write_json(folder / INDEX, {"version": VERSION, **found, "data": stored})


def read_index(folder: Path) -> Index:
    """Read `index.json` of a cache.

    Raises:
      InputError: the cache has none, so was not finished; or one of another version.
    """
    path = folder / INDEX
    if not path.is_file():
        raise InputError("is not there", path=path, hint="run prepare to the end")
    stored = json_io.read_json(path)
    if stored.get("version") != VERSION:
        hint = "run prepare again"
        raise InputError(f"is of version {stored.get('version')}", path=path, hint=hint)
    return {Path(root): _contents(part) for root, part in stored["data"].items()}


def has_index(folder: Path) -> bool:
    """Whether a folder is a finished cache."""
    return (folder / INDEX).is_file()


def caches_in(folder: Path) -> Iterator[Path]:
    """Finished caches of a folder, one for each preprocessing config."""
    return (path.parent for path in sorted(folder.glob(f"*/{INDEX}")))


def _plain(contents: Contents) -> dict[str, Any]:
    return {
        "cases": {
            id_: {**entry._asdict(), "scans": [scan._asdict() for scan in entry.scans]}
            for id_, entry in contents.cases.items()
        },
        "skipped": [skipped._asdict() for skipped in contents.skipped],
        "folds": [{"train": fold.train, "val": fold.test} for fold in contents.folds],
        "provenance": contents.provenance,
    }


def _contents(stored: Mapping[str, Any]) -> Contents:
    cases = {
        id_: Entry(
            tuple(map(Path, entry["files"])),
            entry["patient"],
            entry["facts"],
            tuple(entry["remarks"]),
            entry["digest"],
            tuple(map(Appearance.from_json, entry.get("scans", ()))),
        )
        for id_, entry in stored["cases"].items()
    }
    skipped = (Skipped(Path(s["path"]), s["reason"], s["is_broken"]) for s in stored["skipped"])
    folds = (Split(tuple(fold["train"]), tuple(fold["val"])) for fold in stored["folds"])
    return Contents(cases, tuple(skipped), tuple(folds), stored["provenance"])
