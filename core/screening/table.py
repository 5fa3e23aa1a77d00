"""What screening decided, as `screening.csv` and as a line for the log."""

import re
from collections import Counter
from pathlib import Path

from core.csv_io import write_csv
from core.screening.patient import Screening, path_below


def write_screening(out: str | Path, screening: Screening) -> Path:
    """Write `screening.csv`: a row per file, with its path below the patient's folder."""
    path = Path(out) / "screening.csv"
    rows = [{**f._asdict(), "path": path_below(f.path, screening.folder)} for f in screening.files]
    write_csv(path, rows)
    return path


def summary(screening: Screening) -> str:
    """Counts in one line: "used 308 of 512 files: arterial 154, venous 154; skipped: …"."""
    used = Counter(file.phase for file in screening.files if file.bucket == "used")
    line = f"used {screening.count('used'):,} of {len(screening.files):,} files"
    line += f": {_counts(used)}" if used else ""
    for bucket, title in (("skipped", "skipped"), ("error", "errors")):
        reasons = Counter(_kind(f.reason) for f in screening.files if f.bucket == bucket)
        line += f"; {title}: {_counts(reasons, number_first=True)}" if reasons else ""
    return line


def _kind(reason: str) -> str:
    """A reason without what only belongs to one file or series."""
    reason = re.sub(r"^series( '.*')? of \d+ slices?: ", "", reason)
    reason = re.sub(r"^a duplicate of .*", "a duplicate", reason)
    reason = re.sub(r"^an? ", "", reason)
    return re.split(r": |[;,(]| of [\d.]+ degrees| between [\d.-]+ ", reason)[0].strip()


def _counts(counts: Counter[str], *, number_first: bool = False) -> str:
    form = "{1:,} {0}" if number_first else "{0} {1:,}"
    return ", ".join(form.format(*item) for item in counts.most_common())
