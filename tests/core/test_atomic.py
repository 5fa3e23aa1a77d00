import errno
import os
from pathlib import Path

import pytest

from core import atomic


def test_write_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path: Path):
    path = tmp_path / "new" / "a.txt"
    atomic.write_text(path, "old, and longer")
    atomic.write_text(path, "größe")
    assert path.read_bytes() == "größe".encode()
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_failure_while_writing_keeps_the_old_file(tmp_path: Path):
    path = tmp_path / "a.nii.gz"
    atomic.write_bytes(path, b"old")

    def fail() -> None:
        with atomic.aside(path) as temporary:
            assert temporary.name.endswith("a.nii.gz")
            temporary.write_bytes(b"half")
            raise RuntimeError("disk")

    with pytest.raises(RuntimeError, match="disk"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_appears_whole_and_is_removed_on_failure(tmp_path: Path):
    def fill(name: str, error: type[Exception] | None = None) -> None:
        with atomic.aside(tmp_path / name) as temporary:
            temporary.mkdir()
            (temporary / "a").touch()
            if error:
                raise error("stop")

    fill("cache")
    with pytest.raises(RuntimeError, match="stop"):
        fill("other", RuntimeError)
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]


def test_forgetting_to_write_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"a\.txt"), atomic.aside(tmp_path / "a.txt"):
        pass


def test_text_of_file_names_that_are_no_utf8_is_written_escaped(tmp_path: Path):
    atomic.write_text(tmp_path / "a.txt", os.fsdecode(b"\xb1.txt"))
    assert (tmp_path / "a.txt").read_bytes() == rb"\udcb1.txt"


@pytest.mark.parametrize("letter", ["a", "患"])
def test_a_name_of_255_bytes_is_written_like_any_other(tmp_path: Path, letter):
    stem = letter * ((255 - 7) // len(letter.encode()))
    path = tmp_path / f"{stem}.nii.gz"
    with atomic.aside(path) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"whole")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_leftovers_go_and_nothing_else_does(tmp_path):
    kept = [".lock", ".git", ".12345678", "a.nii", ".results.jsonl"]
    for folder in (tmp_path, tmp_path / "cases" / "a"):
        (folder / ".0a1b2c3d-folder" / ".4e5f6071-inside").mkdir(parents=True)
        for name in (*kept, ".01234567-mask.nii.gz"):
            (folder / name).touch()
    atomic.remove_leftovers(tmp_path)
    left = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert left == {*kept, *(f"cases/a/{name}" for name in kept)}
    assert not list(tmp_path.rglob("*-folder"))
    atomic.remove_leftovers(tmp_path / "absent")


def test_a_write_that_fails_names_its_file(tmp_path):
    with pytest.raises(OSError, match="No space") as full, atomic.named(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError, match="gone") as other, atomic.named(tmp_path / "a"):
        raise OSError(errno.ENOENT, "gone", "b")
    assert other.value.filename == "b"
