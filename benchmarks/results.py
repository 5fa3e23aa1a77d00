"""Rows in benchmarks/results/*.json, and what papers and peers report of their own times."""

import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Row
from core.json_io import read_json, write_json

RESULTS = Path(__file__).parent / "results"
REPORTED = Path(__file__).parent / "reported.toml"


def save(name: str, rows: Sequence[Row], folder: Path | None = None) -> None:
    """Put rows into FOLDER/NAME.json, in place of their namesakes of the same device and peer.

    The version of a peer does not part rows: a newer one takes the place of an older one.
    """
    path, new = (folder or RESULTS) / f"{name}.json", {_key(row) for row in rows}
    before = read_json(path) if path.is_file() else []
    write_json(path, [row for row in before if _key(row) not in new] + list(rows))


def load(name: str) -> list[Row]:
    """Rows of one file; none where it is not there."""
    path = RESULTS / f"{name}.json"
    return read_json(path) if path.is_file() else []


def names() -> list[str]:
    """Of all files."""
    return sorted(path.stem for path in RESULTS.glob("*.json"))


def reported(system: str | None = None) -> list[Row]:
    """What a paper, or all, say about their own times, on their own hardware."""
    rows = tomllib.loads(REPORTED.read_text("utf-8"))["timing"]
    return [row for row in rows if system in (None, row["system"])]


def data_folder() -> Path:
    """Real images: `PANJAX_DATA`, or shared/data beside the checkout."""
    return Path(os.environ.get("PANJAX_DATA", Path(__file__).parents[2] / "shared" / "data"))


def _key(row: Row) -> tuple[str, str, str]:
    return row["name"], row["device"], re.sub(r"\d\S*", "", row.get("peer") or "")
