"""Every file that is found and not used keeps its name and the reason."""

from pathlib import Path
from typing import NamedTuple


class Skipped(NamedTuple):
    """A file or folder that was left out.

    Args:
      path: where it is.
      reason: why, in words that finish the sentence "skipped: …".
      is_broken: whether its name promises what was looked for; such a file has failed, while a
        foreign one does no harm.
    """

    path: Path
    reason: str
    is_broken: bool = False
