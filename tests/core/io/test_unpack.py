"""What an archive says about itself is not trusted."""

import shutil
import zipfile
from types import SimpleNamespace

import pytest

from core.errors import InputError
from core.io import unpack as room
from core.io.unpack import is_archive, scratch, unpack
from tests.refusals import refused


def archive(path, members, **kwargs):
    with zipfile.ZipFile(path, "w", **kwargs) as packed:
        for name, content in members:
            packed.writestr(name, content)
    return path


def contents(folder):
    files = (p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_text() for p in files}


def test_members_lie_below_the_folder_under_their_names(tmp_path):
    members = [("a/b.txt", "1"), ("a/c.txt", "2"), ("d", "3"), ("e\\f", "4"), ("./g", "5")]
    folder = unpack(archive(tmp_path / "x", members), tmp_path / "work")
    assert contents(folder) == {"a/b.txt": "1", "a/c.txt": "2", "d": "3", "e/f": "4", "g": "5"}
    assert [p.name for p in (tmp_path / "work").iterdir()] == [folder.name]  # nothing is left over


def test_a_name_that_is_there_twice_loses_nothing(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = archive(tmp_path / "x", [("a", "1"), ("a", "2")])
    assert sorted(contents(unpack(path, tmp_path / "work")).values()) == ["1", "2"]


def test_an_archive_is_told_by_its_content(tmp_path):
    assert is_archive(archive(tmp_path / "study", [("a", "1")]).read_bytes())
    assert is_archive(archive(tmp_path / "empty", []).read_bytes())
    assert not is_archive(b"hello")
    assert not is_archive(b"")


def test_what_is_whole_stays_and_what_a_killed_process_left_goes(tmp_path, monkeypatch):
    path, work = archive(tmp_path / "x", [("a", "1")]), tmp_path / "work"
    folder = unpack(path, work)
    shutil.rmtree(folder)
    left = work / f".1234abcd-{folder.name}"
    left.mkdir()
    assert unpack(path, work) == folder
    assert not left.exists()
    monkeypatch.setattr(room, "_extract", None)
    assert unpack(path, work) == folder
    archive(path, [("a", "12")])
    with pytest.raises(TypeError, match="not callable"):  # another file: unpacked again
        unpack(path, work)


@pytest.mark.parametrize("name", ["../a", "/a", "a/../../b", "..\\a", "\\a", "C:\\a", "C:a"])
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    path = archive(tmp_path / "x", [("fine", "1"), (name, "2")])
    with refused(path, repr(name), hint="by hand"):
        unpack(path, tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with pytest.raises(InputError, match="holds a link"):
        unpack(archive(tmp_path / "x", [(link, "/etc/passwd")]), tmp_path / "work")


def test_an_encrypted_archive_is_named(tmp_path):
    path = archive(tmp_path / "x", [("a", "1")])
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    with refused(path, "encrypted", hint="password"):
        unpack(path, tmp_path / "work")


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    zeros = bytes(10_000_000)
    path = archive(tmp_path / "x", [("a", zeros)], compression=zipfile.ZIP_DEFLATED)
    size = path.stat().st_size
    assert len(zeros) > room.MAX_GROWTH * size
    assert unpack(path, tmp_path / "small") is not None  # a small one does no harm
    monkeypatch.setattr(room, "LARGE_BYTES", len(zeros) - 1)
    with refused(path, "grows", "0.0 MB", "0.0 GB"):
        unpack(path, tmp_path / "large")


def test_a_full_disk_is_told_before(tmp_path, monkeypatch):
    path = archive(tmp_path / "x", [("a", "123")])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2))
    with refused(path, "0.0 GB", "free in", tmp_path / "work"):
        unpack(path, tmp_path / "work")


def test_any_damage_is_one_line(tmp_path):
    members = [(f"a/{k}", str(k) * 400) for k in range(3)]
    good = archive(tmp_path / "x", members, compression=zipfile.ZIP_DEFLATED).read_bytes()
    lines = []
    for k in range(0, len(good), 3):
        data = bytearray(good)
        data[k] ^= 0xFF
        (tmp_path / "y").write_bytes(data)
        try:
            unpack(tmp_path / "y", tmp_path / "work")
        except InputError as error:
            lines.append(str(error))
        shutil.rmtree(tmp_path / "work", ignore_errors=True)
    assert len(lines) > 20
    assert all(line.startswith(f"{tmp_path / 'y'}: ") and "\n" not in line for line in lines)


def test_an_unknown_method_is_named(tmp_path):
    path = archive(tmp_path / "x", [("a", "1")])
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(magic) + offset] = 99
    path.write_bytes(data)
    with refused(path, "packed"):
        unpack(path, tmp_path / "work")


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path):
    path = archive(tmp_path / "x", [("a", "1"), ("a/b", "2")])
    with refused(path, "cannot be unpacked"):
        unpack(path, tmp_path / "work")
    assert list((tmp_path / "work").iterdir()) == []


def test_scratch_is_one_folder():
    assert scratch() == scratch()
    assert scratch().is_dir()
