"""SIGTERM, as schedulers send it some time before they take a machine away."""

import signal
import threading
from types import FrameType

import jax
from jax.experimental.multihost_utils import reached_preemption_sync_point


class Preemption:
    """A context manager around the steps of a training, which tells when to save and end.

    Hosts of one training hear it together: JAX's coordination service carries it to all of them and
    names the step. Outside the main thread nothing is heard, and SIGTERM ends the process at once.
    """

    def __init__(self) -> None:
        self._is_told = False
        is_main = threading.current_thread() is threading.main_thread()
        self._listens = is_main and jax.process_count() == 1

    def __enter__(self) -> "Preemption":
        if self._listens:
            self._before = signal.signal(signal.SIGTERM, self._hear)
        return self

    def __exit__(self, *error: object) -> None:
        if self._listens:
            signal.signal(signal.SIGTERM, self._before or signal.SIG_DFL)

    def is_due(self, step: int) -> bool:
        """Whether to save and end after this step; asked once after each, on every host."""
        return self._is_told or reached_preemption_sync_point(step)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._is_told = True
