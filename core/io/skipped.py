"""Every file that is found and not used keeps its name and the reason."""

from pathlib import Path
from typing import NamedTuple


class Skipped(NamedTuple):
    """A file or folder that was left out.

    Args:
      path: where it is.
      reason: why, in words that finish the sentence "skipped: …".
    """

    path: Path
    reason: str
