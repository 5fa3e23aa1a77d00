"""What a preparation will take, told before it starts."""

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from core.commands.sources import Source
from core.errors import InputError

logger = logging.getLogger(__name__)


def require_room(missing: Sequence[Source], folder: Path) -> None:
    """Tell how many cases will be made and what they take; refuse what the disk cannot hold.

    Args:
      missing: cases that the cache lacks.
      folder: of the cache.

    Raises:
      InputError: less is free than they take.
    """
    if not missing:
        return
    with ThreadPoolExecutor() as pool:  # headers wait for the disk
        needed = sum(pool.map(_num_bytes, missing))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"{len(missing)} cases take about {_size(needed)}, and {_size(free)} is free",
            path=folder,
            hint="make room, or give --out on another disk; what is prepared already is kept",
        )
    logger.info(
        "%d cases to prepare, about %s of %s free", len(missing), _size(needed), _size(free)
    )


def _num_bytes(case: Source) -> int:
    """Of a case; none of one whose header cannot be read, which is told when it is made."""
    try:
        return case.num_bytes()
    except InputError:
        return 0


def _size(num_bytes: int) -> str:
    """In the largest unit that leaves at least one.

    >>> _size(999), _size(2_500_000), _size(10**12)
    ('999 B', '2.5 MB', '1.0 TB')
    """
    units = ["B", "kB", "MB", "GB", "TB"]
    power = min((len(str(num_bytes)) - 1) // 3, len(units) - 1)
    return f"{num_bytes / 1000**power:.{min(power, 1)}f} {units[power]}"
