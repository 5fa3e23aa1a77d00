"""Progress of a long loop: a bar on a terminal, log lines every few seconds elsewhere."""

import logging
import sys
import time

from tqdm import tqdm

LOG = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 5.0


class Progress:
    """Counts up to a total; short passes say nothing outside a terminal.

    Args:
      work: the work in words, "reading headers".
      unit: what is counted, "files".
      total: how many there are.
    """

    def __init__(self, work: str, *, unit: str, total: int) -> None:
        self._work, self._unit, self._total, self._done = work, unit, total, 0
        show = LOG.isEnabledFor(logging.INFO) and sys.stderr.isatty() and total > 0
        self._bar = tqdm(total=total, desc=work, unit=f" {unit}", disable=not show)
        self._start = self._last = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def add(self, num_done: int) -> None:
        """Count what was done since the last call."""
        self._done += num_done
        self._bar.update(num_done)
        now = time.monotonic()
        if not self._bar.disable or now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        rate = self._done / (now - self._start)
        remaining = tqdm.format_interval((self._total - self._done) / rate)
        counts = f"{self._done:,}/{self._total:,} {self._unit}"
        pace = f"{rate:.0f} {self._unit}/s" if rate >= 1 else f"{1 / rate:.0f} s each"
        LOG.info("%s  %s  %s  %s left", self._work, counts, pace, remaining)
