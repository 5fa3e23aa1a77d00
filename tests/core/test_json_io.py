import json
import math
import os
from pathlib import Path

import numpy as np

from core import json_io


def test_undefined_numbers_are_null_and_numpy_is_plain(tmp_path: Path):
    value = {"a": math.nan, "b": np.float32(0.5), 3: (np.arange(2), np.inf), "p": tmp_path}
    json_io.write_json(tmp_path / "a.json", value)
    expected = {"a": None, "b": 0.5, "3": [[0, 1], None], "p": str(tmp_path)}
    assert json.loads((tmp_path / "a.json").read_text()) == expected


def test_a_record_is_one_line():
    assert json_io.line({"text": "a\nb", "ok": np.True_}) == '{"text": "a\\nb", "ok": true}\n'


def test_lines_are_read_back_and_one_that_was_cut_short_anywhere_is_none(tmp_path: Path):
    rows = [{"id": "é\u2028ü\x85"}, {"id": "b"}]  # what is a line elsewhere is none in JSON
    first, second = (json_io.line(row).encode() for row in rows)
    path = tmp_path / "rows.jsonl"
    assert json_io.read_lines(path) == []
    for size in range(len(first + second)):
        path.write_bytes((first + second)[:size])
        assert json_io.read_lines(path) == rows[: int(size >= len(first))]
    path.write_bytes(first + second)
    assert json_io.read_lines(path) == rows


def test_file_names_that_are_no_utf8_come_back_as_they_were(tmp_path: Path):
    name = os.fsdecode("报告.txt".encode("gbk"))
    json_io.write_json(tmp_path / "a.json", {"path": Path(name)})
    assert json_io.read_json(tmp_path / "a.json") == {"path": name}
    assert json.loads(json_io.line([name]).encode()) == [name]
