import logging
import sqlite3
from pathlib import Path

import pytest

from core.io.dicom import index as room
from core.io.dicom.header import read_frames
from core.io.dicom.index import Content, Index, key_of, path_of
from core.io.dicom.slice_header import from_text, to_text
from tests.core.io.dicom.make import save, slices


def content(path):
    return Content("dicom", "", read_frames(path))


def filled(database, folder, read=content):
    with Index(database) as index:
        index.take((p, p) for p in folder.iterdir())
        index.read(read)
        return [[frame for _, frame in members] for members in index.series()]


def test_frames_come_back_as_they_were(tmp_path):
    folder = save(
        tmp_path / "ct", slices(SpecificCharacterSet="GB18030", SeriesDescription="静脉期")
    )
    frames = [read_frames(p)[0] for p in sorted(folder.iterdir())]
    assert [from_text(to_text(f), f.path) for f in frames] == frames
    assert filled(tmp_path / "x.sqlite", folder) == [frames]
    assert filled(None, folder) == [frames]


def test_series_come_one_at_a_time_also_from_mixed_folders(tmp_path):
    folder = save(tmp_path / "ct", slices(series="A") + slices(series="B"))
    index = filled(None, folder)
    assert [len(members) for members in index] == [10, 10]
    assert [len({f.series for f in members}) for members in index] == [1, 1]


@pytest.mark.parametrize("path", ["/a/b", "a/b", "a"])
def test_keys_are_paths(path):
    assert path_of(key_of(Path(path))) == Path(path)


def test_keys_sort_as_paths_do():
    paths = [Path(p) for p in ("/a/b", "/a", "/a-b/c", "/a/b.x", "/a/b/c", "/é", "/z")]
    assert sorted(paths, key=key_of) == sorted(paths)


def test_a_batch_is_kept_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BATCH", 4)
    folder = save(tmp_path / "ct", slices(), order=range(10))
    read = []

    def stops(path):
        if path.name == "I006":
            raise KeyboardInterrupt
        read.append(path.name)
        return content(path)

    with pytest.raises(KeyboardInterrupt):
        filled(tmp_path / "x.sqlite", folder, stops)
    read.clear()
    filled(tmp_path / "x.sqlite", folder, lambda p: read.append(p.name) or content(p))
    assert sorted(read) == [f"I{k:03d}" for k in range(4, 10)]


def test_what_was_read_before_is_told(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = save(tmp_path / "ct", slices(), order=range(10))
    (folder / "I009").rename(tmp_path / "I009")
    filled(tmp_path / "x.sqlite", folder)
    (tmp_path / "I009").rename(folder / "I009")
    filled(tmp_path / "x.sqlite", folder)
    assert "9 of 10 headers were read before" in caplog.messages


def test_what_is_listed_in_two_goes_was_not_read_before(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    first = sorted(save(tmp_path / "first", slices()).iterdir())
    second = sorted(save(tmp_path / "second", slices()).iterdir())
    with Index(tmp_path / "x.sqlite") as index:
        for files in (first, second):
            index.take((file, file) for file in files)
            index.read(content)
    assert "read before" not in caplog.text


def test_a_damaged_or_older_journal_is_read_anew(tmp_path, caplog):
    folder, database = save(tmp_path / "ct", slices()), tmp_path / "x.sqlite"
    first = filled(database, folder)
    database.write_bytes(b"hello" * 1000)
    assert filled(database, folder) == first
    assert "x.sqlite: damaged, so every header is read again" in caplog.text
    connection = sqlite3.connect(database)
    connection.executescript(
        f"UPDATE frames SET value = ''; PRAGMA user_version = {room.FORMAT + 1}"
    )
    connection.close()
    assert filled(database, folder) == first


def test_a_journal_that_cannot_be_opened_is_no_damage(tmp_path):
    (tmp_path / "x.sqlite").mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        Index(tmp_path / "x.sqlite")


def test_removed_files_are_forgotten(tmp_path):
    folder = save(tmp_path / "ct", slices(), order=range(10))
    other = save(tmp_path / "ct2", slices(series="B"))
    filled(tmp_path / "x.sqlite", other)
    filled(tmp_path / "x.sqlite", folder)
    (folder / "I000").unlink()
    with Index(tmp_path / "x.sqlite") as index:
        index.take((p, p) for p in folder.iterdir())
        index.forget_removed(folder)
        for table in ("files", "frames"):
            (kept,) = index.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert kept == 9 + 10
