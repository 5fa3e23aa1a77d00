"""List the files of a folder at any depth, in order, and give each a unique id."""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from core.errors import InputError
from core.names import normal

START_BYTES = 64  # enough to tell them apart
MAX_ID_BYTES = 240
"""Of an id: names of files have 255, and "-2" and "_0000.nii.gz" may follow."""
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_GIT_LFS = b"version https://git-lfs"


class Skipped(NamedTuple):
    """A file or folder that was left out.

    Args:
      path: where it is.
      reason: why, in words that finish the sentence "skipped: …".
      is_broken: whether its name promises what was looked for; such a file has failed, while a
        foreign one does no harm.
    """

    path: Path
    reason: str
    is_broken: bool = False


def files_at(path: Path) -> Iterator[Path]:
    """The file itself, or every file of the folder, one after the other.

    Raises:
      InputError: there is nothing.
    """
    if not path.exists():
        raise InputError("no such file or folder", path=path)
    files = iter([path]) if path.is_file() else walk(path)
    first = next(files, None)
    if first is None:
        raise InputError("the folder is empty", path=path)
    return itertools.chain([first], files)


def walk(root: Path) -> Iterator[Path]:
    """Every file of a folder at any depth, links followed, none twice."""
    visited = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real_folder = os.path.realpath(folder)
        if real_folder in visited:  # a link back to a folder above
            folders.clear()
            continue
        visited.add(real_folder)
        folders.sort()
        yield from (Path(folder) / name for name in sorted(files))


def natural(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Sorting key that takes digits for numbers, folder by folder: "a (2)" before "a (10)"."""
    return tuple(
        tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)
        for parts in (re.findall(r"[0-9]+|[^0-9]+", name) for name in path.parts)
    )


def on_disk(path: Path) -> Path:
    """A path as the disk has it, where accents may be taken apart; itself where there is none."""
    if path.exists() or str(path).isascii():
        return path
    folder = on_disk(path.parent)
    names = os.listdir(folder) if folder.is_dir() else []
    same = (name for name in sorted(names) if normal(name) == normal(path.name))
    return folder / next(same, path.name)


def below(path: Path, root: Path, endings: Sequence[str]) -> str:
    """Path below a root, without its ending; for the root itself its own name."""
    is_file = path == root and not root.is_dir()
    name = path.name if is_file else path.relative_to(root).as_posix()
    for ending in endings:
        name = name.removesuffix(ending)
    return name if name != "." else root.resolve().name


def unique_ids(names: Sequence[str], *, instead: str) -> list[str]:
    """One id per name, fit for a file name; those that would share one are numbered.

    Of a name that is too long the end is replaced by a hash of the whole.

    Args:
      names: as `below` gives them.
      instead: for a name of which nothing is left.
    """
    ids: list[str] = []
    taken = set()
    for name in names:
        base = re.sub(r"[^\w.-]+", "_", normal(name)).strip("._") or instead
        free = (_short(f"{base}-{n}" if n > 1 else base) for n in range(1, len(names) + 1))
        ids.append(next(n for n in free if n not in taken))
        taken.add(ids[-1])
    return ids


def _short(id_: str) -> str:
    whole = id_.encode()
    if len(whole) <= MAX_ID_BYTES:
        return id_
    mark = f"-{hashlib.sha256(whole).hexdigest()[:8]}"
    return whole[: MAX_ID_BYTES - len(mark)].decode(errors="ignore") + mark


class Named(Protocol):
    """Something found that has an id; a frozen dataclass."""

    @property
    def id(self) -> str:
        """Name, fit for a file name."""
        ...


N = TypeVar("N", bound=Named)


def find_all(
    paths: Sequence[Path], find: Callable[[Path], tuple[list[N], list[Skipped]]]
) -> tuple[list[N], list[Skipped]]:
    """Contents of several paths, under ids that are unique over all of them.

    A path without any is left out as broken: of a cohort, it costs no other patient.

    Args:
      paths: files or folders.
      find: (path) → things with an id, and files that are none.

    Raises:
      InputError: there is nothing at a path, or none of the paths has any thing.
    """
    results = [_result(path, find, len(paths) == 1) for path in paths]
    things = [thing for members, _ in results for thing in members]
    if not things:
        raise InputError(
            f"nothing to work on: {summary([s for _, skipped in results for s in skipped])}"
        )
    ids = unique_ids([thing.id for thing in things], instead="case")
    named: list[Any] = [replace(t, id=id_) for t, id_ in zip(things, ids, strict=True)]  # type: ignore[type-var]
    return named, [skipped for _, members in results for skipped in members]


def _result(
    path: Path, find: Callable[[Path], tuple[list[N], list[Skipped]]], is_alone: bool
) -> tuple[list[N], list[Skipped]]:
    try:
        return find(path)
    except InputError as error:
        if is_alone or not path.exists():
            raise
        return [], [Skipped(Path(error.path or path), error.message, is_broken=True)]


def summary(skipped: Sequence[Skipped]) -> str:
    """The first three reasons; callers put the most telling ones first."""
    reasons = [f"{s.path.name}: {s.reason}" for s in skipped[:3]]
    more = f" … and {len(skipped) - 3} more" if len(skipped) > 3 else ""
    return ", ".join(reasons) + more


def is_shadow(path: Path) -> bool:
    """Whether a file is metadata that macOS writes beside real files."""
    return path.name.startswith("._") or path.name == ".DS_Store" or "__MACOSX" in path.parts


def refuse_stand_in(start: bytes, path: Path) -> None:
    """Refuse a file that is not what its name says, by its first `START_BYTES`.

    Raises:
      InputError: the file is empty, a shadow file, or a pointer; the line says what to do.
    """
    if not start:
        raise InputError("the file is empty", path=path, hint="fetch or copy it again")
    if start.startswith(_APPLE_DOUBLE):
        raise InputError("this is a macOS shadow file, not an image", path=path)
    if start.startswith(_GIT_LFS):
        raise InputError(
            "this is a Git LFS pointer, not the image", path=path, hint="run `git lfs pull`"
        )
