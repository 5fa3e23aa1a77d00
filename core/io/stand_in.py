"""Files that only stand in for the real one: empty, a macOS shadow, a pointer of Git LFS."""

from pathlib import Path

from core.errors import InputError

START_BYTES = 64  # enough to tell them apart
_APPLE_DOUBLE = b"\x00\x05\x16\x07"
_GIT_LFS = b"version https://git-lfs"


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
