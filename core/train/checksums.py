"""CRC-32 of the files of a checkpoint: what a disk changed since is not taken for weights.

Orbax tells a file that is missing or cut short; of a changed bit among the values it knows nothing.
"""

import zlib
from pathlib import Path

from core import json_io

CHECKSUMS = "checksums.json"
_CHUNK_BYTES = 1 << 24


def write_checksums(checkpoint: Path) -> None:
    """Note the files in the folders of a checkpoint that is complete but for its name."""
    sums = {
        str(p.relative_to(checkpoint)): _crc(p) for p in checkpoint.glob("*/**/*") if p.is_file()
    }
    json_io.write_json(checkpoint / CHECKSUMS, sums)


def verify_checksums(checkpoint: Path, item: str = "") -> None:
    """Compare the files of a checkpoint with what was noted, where that was done.

    Args:
      checkpoint: folder of one step.
      item: of its folders, the one that is read; all of them by default.

    Raises:
      ValueError: a file is not what was written.
      OSError: one cannot be read.
    """
    path = checkpoint / CHECKSUMS
    for name, crc in json_io.read_json(path).items() if path.is_file() else ():
        if name.startswith(item) and _crc(checkpoint / name) != crc:
            raise ValueError(f"{name} is not what was written")


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc
