"""pydicom without its warnings: they quote header values, which may name the patient."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()  # Python's warning filters belong to the whole process


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom and highdicom inside the block."""
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        levels = [logger.level for logger in loggers]
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
