"""What a run says: RUN/metrics.jsonl, and a progress bar on a terminal or plain lines elsewhere.

One JSON object per line: `{"step", "loss", "grad_norm", …, "time"}` with means over the steps
since the line before, or `{"step", "evaluation": {means}, "rows": [per case]}`. All but `time` is
the same whether or not the run was interrupted.
"""

import logging
import math
import statistics
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from core import atomic, json_io
from core.errors import RunError
from core.train.early_stopping import best_step
from core.train.task import Rows
from core.types import Metrics

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2
"""Steps that the host may run ahead: enough to keep a device busy, few enough to hold batches."""


class Log:
    """Collects the metrics of steps without making the devices wait, and writes them.

    Args:
      path: RUN/metrics.jsonl; lines after `start` are those of a lost part and are removed.
      start: steps already done.
      steps: steps of the whole run.
    """

    def __init__(self, path: Path, *, start: int, steps: int) -> None:
        self._path, self._steps, self._name = path, steps, path.absolute().parent.name
        self._is_writer = jax.process_index() == 0
        self._in_flight: deque[tuple[int, Metrics]] = deque()
        self._since_line: list[dict[str, float]] = []
        self._num_examples = 0
        self._once: dict[str, float] = {}
        kept = [line for line in json_io.read_lines(path) if line["step"] <= start]
        self.evaluations = _evaluations(kept)
        """Step and means of every evaluation so far, as `core.train.early_stopping` takes them."""
        if self._is_writer:
            atomic.write_text(path, "".join(map(json_io.line, kept)))
        show = self._is_writer and logger.isEnabledFor(logging.INFO) and sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=start, unit="step", desc=self._name, disable=not show)
        self._clock = time.perf_counter()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def compiled(self, *, compile_seconds: float, peak_bytes: float) -> None:
        """Note the cost of the compiled step for the next line, and start the clock."""
        self._once = {"compile_seconds": compile_seconds, "peak_bytes": peak_bytes}
        self._clock = time.perf_counter()

    def add(self, step: int, metrics: Metrics, *, num_examples: int) -> None:
        """Take the metrics of a step that may still be running; wait for the one before last."""
        self._in_flight.append((step, metrics))
        self._num_examples += num_examples
        if len(self._in_flight) > MAX_IN_FLIGHT:
            self._fetch()
        self._bar.update()

    def line(self, step: int) -> None:
        """Wait for every step so far and write their mean.

        Raises:
          RunError: a step whose loss or gradient is not finite.
        """
        while self._in_flight:
            self._fetch()
        now = time.perf_counter()
        seconds, self._clock = now - self._clock, now
        means = _means(self._since_line)
        rate = self._num_examples / seconds
        spent = {"seconds": seconds, "examples_per_second": rate, **self._once}
        self._write({"step": step, **means, "time": spent})
        steps_per_second = len(self._since_line) / seconds
        self._say(step, f"{_text(means)}  {rate:.3g} examples/s", steps_per_second)
        self._since_line, self._num_examples, self._once = [], 0, {}

    def evaluation(self, step: int, rows: Rows) -> None:
        """Write the rows of an evaluation and their means; its time counts for no step."""
        means = _means([dict(row) for row in rows])
        self.evaluations.append((step, json_io.plain(means)))
        self._write({"step": step, "evaluation": means, "rows": rows})
        self._say(step, f"evaluation of {len(rows)} cases: {_text(means)}", None)
        self._clock = time.perf_counter()

    def _fetch(self) -> None:
        step, metrics = self._in_flight.popleft()
        # A jitted function returns its dicts sorted; readers look for the loss first.
        fetched = {"loss": 0, "grad_norm": 0, **jax.device_get(dict(metrics))}
        values = {name: float(value) for name, value in fetched.items()}
        for name in ("loss", "grad_norm"):
            if not math.isfinite(values[name]):
                raise RunError(
                    f"step {step}: {name} became {values[name]}; checkpoints before it are kept; "
                    "look at the data, or lower the learning rate"
                )
        self._since_line.append(values)

    def _write(self, record: dict[str, Any]) -> None:
        if self._is_writer:
            with atomic.named(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(json_io.line(record))

    def _say(self, step: int, text: str, steps_per_second: float | None) -> None:
        if not self._is_writer:
            return
        if not self._bar.disable:
            self._bar.write(f"{self._name}  step {step}  {text}", file=sys.stderr)
            return
        left = "" if steps_per_second is None else (self._steps - step) / steps_per_second
        end = f"  {tqdm.format_interval(left)} left" if left else ""
        logger.info("%s  step %d/%d  %s%s", self._name, step, self._steps, text, end)


def summary(path: Path) -> dict[str, float]:
    """Compile time, median throughput and bytes per device, from RUN/metrics.jsonl.

    Returns:
      `compile_seconds`, `examples_per_second`, `peak_bytes`; nan for what was never measured.
    """
    times = [line.get("time", {}) for line in json_io.read_lines(path)]

    def median(name: str) -> float:
        return statistics.median([t[name] for t in times if name in t] or [math.nan])

    return {name: median(name) for name in ("compile_seconds", "examples_per_second", "peak_bytes")}


def ending(path: Path) -> dict[str, int]:
    """Where a run ended and which of its weights are the best, from RUN/metrics.jsonl.

    Returns:
      `stopped_at` and `best_step`; nothing where no evaluation told a loss.
    """
    lines = json_io.read_lines(path)
    best = best_step(_evaluations(lines))
    return {} if best is None else {"stopped_at": lines[-1]["step"], "best_step": best}


def _evaluations(lines: list[dict[str, Any]]) -> list[tuple[int, dict[str, float | None]]]:
    return [(line["step"], line["evaluation"]) for line in lines if "evaluation" in line]


def _means(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of each numeric column over the rows in which it is defined; nan if in none."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    return {
        name: _mean(values)
        for name, values in columns.items()
        if all(isinstance(v, int | float | np.number) for v in values)
    }


def _mean(values: list[Any]) -> float:
    defined = [float(v) for v in values if not math.isnan(v)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _text(means: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in means.items())
