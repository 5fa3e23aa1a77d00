import re

import pytest

from benchmarks import results, tables
from core.errors import InputError


@pytest.mark.parametrize("name", tables.DOCUMENTS)
def test_a_document_has_the_tables_of_the_results(name):
    text = (tables.ROOT / name).read_text("utf-8")
    assert tables.filled(text) == text, "run: python -m benchmarks readme"


def test_every_table_stands_in_a_document():
    texts = [(tables.ROOT / name).read_text("utf-8") for name in tables.DOCUMENTS]
    shown = {name for text in texts for _, name, _ in tables.MARKED.findall(text)}
    assert shown == set(tables.TABLES)


def test_every_file_of_timings_has_a_table():
    files = {name for name in results.names() if not name.startswith(("study-", "voting"))}
    tabled = {*tables.STEPS, *tables.CASES, *tables.TABLES}
    assert files <= tabled


def test_a_marker_of_no_table_is_refused():
    text = "<!-- benchmarks: speed -->\n<!-- benchmarks: end -->"
    with pytest.raises(InputError, match=r"no table 'speed'.*known are summary"):
        tables.filled(text)


def test_what_stands_between_markers_is_replaced_and_nothing_else(monkeypatch):
    monkeypatch.setitem(tables.TABLES, "a", lambda: "new\n")
    text = "x\n<!-- benchmarks: a -->\nold\n<!-- benchmarks: end -->\ny"
    assert tables.filled(text) == text.replace("old", "new")


def test_a_reported_time_stands_beside_ours_with_both_machines(monkeypatch):
    said = {"system": "A", "what": "w", "kind": "rate", "value": 5.9, "unit": "patches/s"}
    said |= {"hardware": "V100", "ours": "step", "examples": 2}
    other = {**said, "ours": "none", "kind": "time"}
    monkeypatch.setattr(results, "reported", lambda: [said, other])
    monkeypatch.setattr(results, "names", lambda: ["f"])
    row = {"name": "step", "ours_s": 4.0, "device": "2 cores"}
    monkeypatch.setattr(results, "load", lambda name: [row])
    first, second = tables.compared().splitlines()[2:]
    assert first == "| A | w | 5.9 patches/s | V100 | 0.5 patches/s | 2 cores |"
    assert re.search(r"V100 \| – \| – \|$", second)


ORIGIN = {"device": "2 cores", "commit": "0123456789+changes"}
ROWS = {
    "loader": {"ours_s": 0.0123, "samples_per_s": 80.0, "samples_per_s_and_core": 40.0},
    "memory": {"host_peak_bytes": 3 << 30, "host_bytes_before": 1 << 29, "device_peak_bytes": None},
    "scaling": {
        "ours_s": 2.0,
        "collectives": 3,
        "collective_bytes": 4_000_000,
        "collectives_s": 0.5,
        "equal": False,
    },
    "augment": {"ours_s": 1.0, "peer_s": None, "ratio": None, "peer": None, "equal": None},
    "stages of fee": {
        "ours_s": 3.0,
        "peer_s": 5.0,
        "peer": "PyTorch",
        "stages": {"ours": {"read": 3.0}, "peer": {"read": 5.0}},
    },
}
LINES = {
    "loader": "| a | 12.3 ms | 80.0 | 40.0 | 2 cores | 0123456+ |",
    "memory": "| a | 3.00 GiB | 0.50 GiB | – | 2 cores | 0123456+ |",
    "scaling": "| a | 2.00 s | 3 | 4.0 | 500 ms | **no** | 2 cores | 0123456+ |",
    "augment": "| a | 1.00 s | – | – | – | – | 2 cores | 0123456+ |",
    "stages of fee": "| **whole** | 3.0 | 5.0 |",
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_written_with_their_units(name, monkeypatch):
    monkeypatch.setattr(results, "load", lambda file: [{"name": "a"} | ROWS[name] | ORIGIN])
    assert tables.TABLES[name]().splitlines()[-1] == LINES[name]


def test_without_rows_a_table_says_so():
    assert tables.markdown({"a": str}, []) == "Not measured yet.\n"
    assert tables.markdown({"a": str}, ["b"]) == "| a |\n| --- |\n| b |\n"
