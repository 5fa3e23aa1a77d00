"""Tables of plain cells, as aligned text for terminals and as HTML, and how numbers are written."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.metrics.intervals import Interval, wilson_interval
from core.metrics.rows import Row

UNDEFINED = "–"


Tone = Literal["good", "bad", "warn", "plain"]


@dataclass(frozen=True)
class Badge:
    """A word with a tone; HTML shows it on a colored pill."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Link:
    """A word that leads to a folded section of the same page, by that section's title."""

    text: str
    section: str


@dataclass(frozen=True)
class FileLink:
    """A word that leads to another file, by its path from the folder of the page."""

    text: str
    path: str


Cell = str | int | float | None | Badge | Link | FileLink
Columns = Mapping[str, str | Callable[[Row], Cell]]
"""By heading, the key of a row, or what is made of the row."""


@dataclass(frozen=True)
class Table:
    """Columns and rows; the first column names the row.

    Args:
      columns: headings.
      rows: cells; nan and None are shown as undefined.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def __post_init__(self) -> None:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} must have {len(self.columns)} cells; got {len(row)}"
                )

    def texts(self) -> list[list[str]]:
        """What is written in each cell; all floats of a column have the same decimals."""
        columns = [_texts(column) for column in self._columns()]
        return [list(row) for row in zip(*columns, strict=True)]

    def numeric(self) -> list[bool]:
        """For each column, whether it holds numbers and so is aligned to the right."""
        columns = [_texts(column) for column in self._columns()]
        return [i > 0 and _is_numeric(texts) for i, texts in enumerate(columns)]

    def _columns(self) -> list[list[Cell]]:
        return [[row[i] for row in self.rows] for i in range(len(self.columns))]


def badges(tones: Mapping[str, Tone]) -> dict[str, Badge]:
    """A badge for each word."""
    return {word: Badge(word, tone) for word, tone in tones.items()}


def table_of(columns: Columns, rows: Sequence[Row]) -> Table:
    """A table with a line for each row; what a row does not have is undefined."""
    keys = columns.values()
    cells = [[row.get(key) if isinstance(key, str) else key(row) for key in keys] for row in rows]
    return Table(tuple(columns), cells)


def without_empty(table: Table) -> Table:
    """A table without the columns in which no row has a value."""
    columns, rows = table.columns, table.rows
    filled = [i for i in range(len(columns)) if i == 0 or any(_has_value(r[i]) for r in rows)]
    return Table([columns[i] for i in filled], [[row[i] for i in filled] for row in rows])


def to_text(table: Table) -> str:
    """Aligned plain text, a line per row, ending with a newline.

    >>> print(to_text(Table(("case", "DSC"), [("a", 0.5), ("long name", None)])), end="")
    case         DSC
    ---------  -----
    a          0.500
    long name      –
    """
    lines = [list(table.columns), *table.texts()]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(
        "  ".join(
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, table.numeric(), strict=True)
        ).rstrip()
        + "\n"
        for line in lines
    )


def percent(fraction: float) -> str:
    """A fraction as a percentage: 0.9412 is "94.1 %"."""
    return UNDEFINED if math.isnan(fraction) else f"{100 * fraction:.1f} %"


def p_value(p: float) -> str:
    """How sure a test is: 0.0132 is "p = 0.013", less than a thousandth is "p < 0.001"."""
    if math.isnan(p):
        return UNDEFINED
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def mean_sd(mean: float, sd: float) -> str:
    """Mean and standard deviation of fractions as percentages: "56.46 ± 26.23 %"."""
    if math.isnan(mean):
        return UNDEFINED
    spread = "" if math.isnan(sd) else f" ± {100 * sd:.2f}"
    return f"{100 * mean:.2f}{spread} %"


def ci(bounds: Interval, *, in_percent: bool = False) -> str:
    """An interval of 95 %: "95 % CI 0.888–0.970", and in percent "95 % CI 88.8–97.0"."""
    low, high = (f"{100 * bound:.1f}" if in_percent else f"{bound:.3f}" for bound in bounds)
    return "no interval" if math.isnan(bounds.low) else f"95 % CI {low}–{high}"


def proportion(num_successes: int, num: int) -> str:
    """A share of cases with its Wilson interval: "94.1 % (128/136; 95 % CI 88.8–97.0)"."""
    if num == 0:
        return UNDEFINED
    bounds = ci(wilson_interval(num_successes, num), in_percent=True)
    return f"{percent(num_successes / num)} ({num_successes}/{num}; {bounds})"


def _texts(column: Sequence[Cell]) -> list[str]:
    floats = [abs(c) for c in column if isinstance(c, float) and math.isfinite(c)]
    largest = max(floats, default=0.0)
    decimals = 3 if largest <= 1 else 2 if largest < 10 else 1 if largest < 1000 else 0
    return [_text(cell, decimals) for cell in column]


def _text(cell: Cell, decimals: int) -> str:
    if isinstance(cell, Badge | Link | FileLink):
        return cell.text
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return UNDEFINED
    return f"{cell:.{decimals}f}" if isinstance(cell, float) else str(cell)


def _has_value(cell: Cell) -> bool:
    return cell is not None and cell != "" and not (isinstance(cell, float) and math.isnan(cell))


def _is_numeric(texts: Sequence[str]) -> bool:
    written = [text for text in texts if text not in ("", UNDEFINED)]
    return bool(written) and all(re.match(r"[-−]?\d", text) for text in written)
