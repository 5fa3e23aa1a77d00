"""The commit of a checkout, read from its files: git itself need not be there."""

from pathlib import Path


def commit_of(folder: Path) -> str | None:
    """Commit that is checked out in a folder; None where it is no repository of its own."""
    git = folder / ".git"
    head = _text(git / "HEAD")
    if not head.startswith("ref: "):
        return head or None
    ref = head.removeprefix("ref: ")
    packed = (line.partition(" ") for line in _text(git / "packed-refs").splitlines())
    return _text(git / ref) or next((commit for commit, _, name in packed if name == ref), None)


def _text(path: Path) -> str:
    return path.read_text().strip() if path.is_file() else ""
