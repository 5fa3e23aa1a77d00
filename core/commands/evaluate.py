"""Predictions against truth: who is matched with whom, who counts, and in which column.

Folds are pooled; the networks behind the outputs of a group must be the same. Cases that a run
learned from are marked and kept out of the headline; failed ones are counted both ways.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from core import atomic, json_io
from core.commands import results
from core.csv_io import write_csv
from core.errors import InputError
from core.io.volume_file import ENDINGS as VOLUME_ENDINGS
from core.metrics.rows import Row
from core.names import normal
from core.report.table import Table, to_text
from core.train.run_folder import FOLDS, PARTS, read_division

logger = logging.getLogger(__name__)

T = TypeVar("T")
ENDINGS = (*VOLUME_ENDINGS, ".dcm", ".zip", ".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Truth(Generic[T]):
    """An annotated case.

    Args:
      patient: whose it is.
      path: of its image, or of the patient's folder.
      names: other names that a predicted scan of it may have, such as the case id.
      case: as the data set's reader gives it.
    """

    patient: str
    path: Path
    names: tuple[str, ...]
    case: T


class Prediction(NamedTuple):
    """A case of an output.

    Args:
      row: its line in results.json.
      folder: cases/<id>, with what was written about it.
      output: folder of the whole output.
      results: content of its results.json.
      group: name of the network, or system, that it is by.
    """

    row: Mapping[str, Any]
    folder: Path
    output: Path
    results: Mapping[str, Any]
    group: str

    @property
    def fold(self) -> int | None:
        """Of the runs behind it."""
        return self.results["fold"]


class Matched(NamedTuple):
    """A prediction with the truth about it."""

    prediction: Prediction
    truth: Truth


class Paper(NamedTuple):
    """What a paper says about its evaluation.

    Args:
      command: whose outputs are evaluated, such as "s4c screen".
      group: results.json → name of the network or system.
      same: whether a prediction lies on the grid of an annotated case.
      measure: (truth, prediction or None where it failed) → columns of the row; "part" in the
        prediction's row is known by then, by its image or its patient.
      as_error: row of a failed case → columns it would have if the answer had been wrong.
      summarize: rows → aggregates.
      parts: a prediction → predictions that are judged each for itself, in groups of their own,
        such as of each contrast phase.
    """

    command: str
    group: Callable[[Mapping[str, Any]], str]
    same: Callable[[Prediction, Truth], bool]
    measure: Callable[[Truth, Prediction | None], Mapping[str, Any]]
    as_error: Callable[[Row], Mapping[str, Any]]
    summarize: Callable[[Sequence[Row]], dict[str, Any]]
    parts: Callable[[Prediction], Sequence[Prediction]] = lambda prediction: [prediction]


class Evaluated(NamedTuple):
    """Content of metrics.json, and the cases behind its rows, in their order."""

    metrics: dict[str, Any]
    matched: Sequence[Matched]


def evaluate(paper: Paper, preds: Sequence[Path], truths: Sequence[Truth]) -> Evaluated:
    """Compare outputs with annotated cases.

    Args:
      paper: how it evaluates.
      preds: outputs; several folds are pooled, several networks stand side by side.
      truths: annotated cases.

    Returns:
      metrics {"summary": of the first group, "groups": {name: summary}, "rows": [one per case]}. A
      summary is over the cases that no run learned from; "failed_as_errors" in it counts failed
      cases as wrong, "seen" is over those learned from, by part.

    Raises:
      InputError: no output in `preds`, none of its cases is annotated, a fold comes twice, or
        networks of one name differ.
    """
    predictions = _read_outputs(paper, preds)
    matched, num_unmatched = _match(predictions, truths, paper.same)
    if not matched:
        raise InputError(
            f"none of {num_unmatched} predicted cases is among the {len(truths)} annotated ones",
            path=preds[0],
            hint="cases are matched by path, or by a name that comes once and the same grid",
        )
    parts = _parts(matched)
    rows = [_row(paper, match, part) for match, part in zip(matched, parts, strict=True)]
    names = dict.fromkeys(match.prediction.group for match in matched)
    groups = {name: _summary(paper, [r for r in rows if r["group"] == name]) for name in names}
    first = next(iter(groups.values())) | {"num_without_truth": num_unmatched}
    return Evaluated({"summary": first, "groups": groups, "rows": rows}, matched)


def write(out: Path, metrics: Mapping[str, Any], page: str, table: Table) -> None:
    """Write metrics.json, rows.csv and report.html, and print the paper's table with our figures.

    Args:
      out: where to.
      metrics: of `evaluate`, with what the paper adds.
      page: HTML.
      table: that is printed.
    """
    json_io.write_json(out / "metrics.json", metrics)
    write_csv(out / "rows.csv", metrics["rows"])
    atomic.write_text(out / "report.html", page)
    print(to_text(table), end="")


def headline(rows: Sequence[Row]) -> list[Row]:
    """Rows that count: finished, and of cases that no run learned from."""
    return [row for row in rows if row["status"] == "done" and row["part"] not in ("train", "val")]


def headline_of_first(metrics: Mapping[str, Any]) -> list[Row]:
    """Rows that count, of the first group, which is the one that "summary" is of."""
    first = next(iter(metrics["groups"]))
    return [row for row in headline(metrics["rows"]) if row["group"] == first]


def failures_note(summary: Mapping[str, Any]) -> str:
    """Sentences about the cases that are not in the headline."""
    notes = [f"{summary['num_failed']} of {summary['num_cases']} cases failed"]
    if summary["num_failed"]:
        notes.append('counted as wrong they give "failed_as_errors" in metrics.json')
    if summary["num_not_comparable"]:
        notes.append(f"{summary['num_not_comparable']} could not be compared with their truth")
    if summary["num_seen"]:
        notes.append(f"{summary['num_seen']} were learned from and are not counted")
    return "; ".join(notes) + "."


def _read_outputs(paper: Paper, preds: Sequence[Path]) -> list[Prediction]:
    """Cases of all outputs; refuses outputs that cannot be pooled."""
    predictions: list[Prediction] = []
    networks: dict[str, tuple[Path, list[str]]] = {}
    folds: dict[tuple[str, int], Path] = {}
    for pred in preds:
        written = results.read(pred, paper.command)
        group, fold = paper.group(written), written["fold"]
        own = sorted(run["fingerprint"] for run in written["runs"])
        other, fingerprints = networks.setdefault(group, (pred, own))
        if own != fingerprints:
            raise InputError(f"is by another network than {other}, of the same name", path=pred)
        if fold is not None and (other := folds.setdefault((group, fold), pred)) is not pred:
            raise InputError(f"is of fold {fold}, and so is {other}", path=pred, hint="give one")
        for row in written["cases"]:
            whole = Prediction(row, pred / "cases" / row["id"], pred, written, group)
            predictions += paper.parts(whole)
    return predictions


def _match(
    predictions: Sequence[Prediction],
    truths: Sequence[Truth],
    same: Callable[[Prediction, Truth], bool],
) -> tuple[list[Matched], int]:
    """Pairs, and the number of predictions without truth."""
    by_path = {normal(str(truth.path.resolve())): truth for truth in truths}
    by_path |= {str(truth.path.resolve()): truth for truth in truths}
    by_name: dict[str, list[Truth]] = defaultdict(list)
    for truth in truths:
        for name in {_name(truth.path), *map(normal, truth.names)}:
            by_name[name].append(truth)
    inputs = {(p.output, p.row["input"]) for p in predictions}
    twice = Counter((output, _name(path)) for output, path in inputs)
    matched: list[Matched] = []
    taken: dict[tuple[str, int | None, Path, int | None], Path] = {}
    for prediction in predictions:
        path = Path(prediction.row["input"]).resolve()
        # A series lies below its patient's folder.
        places = (f(str(p)) for p in (path, *path.parents) for f in (str, normal))
        truth = next((by_path[place] for place in places if place in by_path), None)
        name = _name(prediction.row["input"])
        named = by_name.get(name, [])
        if truth is None and len(named) == 1 and twice[prediction.output, name] == 1:
            failed = prediction.row["status"] != "done"
            truth = named[0] if failed or same(prediction, named[0]) else None
        if truth is None:
            if named and max(len(named), twice[prediction.output, name]) > 1:
                logger.warning("%s is not evaluated: %s comes twice", prediction.folder, name)
            continue
        # Studies of one patient are reported apart, under one path.
        key = (prediction.group, prediction.fold, truth.path, prediction.row.get("study"))
        if (other := taken.setdefault(key, prediction.folder)) is not prediction.folder:
            raise InputError(f"and {other} are both of {truth.path}", path=prediction.folder)
        matched.append(Matched(prediction, truth))
    return matched, len(predictions) - len(matched)


def _name(path: str | Path) -> str:
    name = normal(Path(path).name)
    return next((name[: -len(e)] for e in ENDINGS if name.lower().endswith(e)), name)


def _parts(matched: Sequence[Matched]) -> list[str | None]:
    """Part of the training data that each case was in: by its image, else by its patient.

    Names of patients count only where an image shows that runs and truth share a data set.
    """
    shared = {m.prediction.output for m in matched if m.prediction.row.get("part")}
    patients: dict[Path, dict[str, str]] = {}
    for m in matched:
        output = m.prediction.output
        if output in shared and output not in patients:
            runs = [Path(run["path"]) for run in m.prediction.results["runs"]]
            patients[output] = {}
            for run in (run for run in runs if (run / FOLDS).is_file()):
                for patient, part in read_division(run).patients.items():
                    # Of several folds, the one that learned from the patient decides.
                    other = patients[output].get(patient, part)
                    patients[output][patient] = max(part, other, key=PARTS.index)
    return [
        m.prediction.row.get("part") or patients.get(m.prediction.output, {}).get(m.truth.patient)
        for m in matched
    ]


def _row(paper: Paper, matched: Matched, part: str | None) -> dict[str, Any]:
    """What is known of one case; a failed one keeps its truth and has no answer."""
    prediction, truth = matched
    row = {
        "id": prediction.row["id"],
        "patient": truth.patient,
        "group": prediction.group,
        "fold": prediction.fold,
        "part": part,
        "status": prediction.row["status"],
        "seconds": prediction.row["seconds"],
    }
    is_done = row["status"] == "done"
    try:
        known = prediction._replace(row={**prediction.row, "part": part})
        return row | dict(paper.measure(truth, known if is_done else None))
    except (InputError, OSError, KeyError, ValueError) as error:
        text = str(error) if isinstance(error, InputError) else f"{truth.path}: {error!r}"
        logger.error("%s", text)
        return row | {"status": "not comparable", "error": text}


def _summary(paper: Paper, rows: Sequence[Row]) -> dict[str, Any]:
    unseen = [row for row in rows if row["part"] not in ("train", "val")]
    done = headline(rows)
    failed = [row for row in unseen if row["status"] == "failed"]
    wrong = [{**row, **paper.as_error(row), "status": "done"} for row in failed]
    by_part = {
        part: paper.summarize([r for r in rows if r["part"] == part and r["status"] == "done"])
        for part in ("train", "val")
        if any(row["part"] == part for row in rows)
    }
    if by_part:
        logger.warning(
            "%d of %d cases were learned from; they are marked and not in the headline",
            len(rows) - len(unseen),
            len(rows),
        )
    return {
        **paper.summarize(done),
        "num_cases": len(unseen),
        "num_failed": len(failed),
        "num_not_comparable": sum(row["status"] == "not comparable" for row in unseen),
        "num_seen": len(rows) - len(unseen),
        "failed_as_errors": paper.summarize([*done, *wrong]) if wrong else None,
        "seen": by_part,
    }
