"""Results as JSON: plain numbers, and null where a number is undefined."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core import atomic
from core.errors import InputError
from core.names import escaped


def plain(value: Any) -> Any:
    """What JSON can hold of nested mappings, sequences, NumPy values and paths; nan is None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
      InputError: the file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid JSON ({error})", path=path) from None


def read_lines(path: Path) -> list[Any]:
    """Values of a file of JSON lines, which may be absent; a line cut short by a kill is none."""
    data = path.read_bytes() if path.is_file() else b""
    return [json.loads(line) for line in data.split(b"\n")[:-1]]


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as indented JSON, the whole file or nothing."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    atomic.write_text(path, text + "\n")


def line(value: Any) -> str:
    """A value as one line of JSON, newline included."""
    return escaped(json.dumps(plain(value), ensure_ascii=False, allow_nan=False)) + "\n"
