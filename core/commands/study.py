"""A cross-validation fold by fold, and what all folds give together.

    OUT/study.json        what it is of: data, recipes, number of folds; written once
    OUT/fold_K/STEP/      what a step of a fold wrote; STEP.json beside it tells how it ended
    OUT/external/STEP/    likewise, of what the runs of all folds say together of other data sets
    OUT/merged/           tables, and steps.json: what was done, what was left out and why

A fold is a list of steps (`core.commands.steps`), which depend on one another and on study.json
alone. So folds are done in any order, on several machines at once, each by one process; killed and
called again, a study ends with the tables that it would have had. A paper's command is::

    def steps(fold: int) -> list[Step]:
        def nodes(folder: Path) -> None:
            train(NODES, [cache], folder, fold=fold, resume=True)

        def status(folder: Path) -> None:
            if not labels:
                raise LeftOut("no patient's status is known")
            train(STATUS, [cache], folder, fold=fold, weights=folder.parent / "nodes", resume=True)

        return [Step("nodes", nodes), Step("status", status, needs=["nodes"])]

    def tables(folds: Sequence[Ended], external: Ended, folder: Path) -> None:
        runs = [fold.of("status") for fold in folds]  # a folder each; None where left out
        ...  # writes metrics.json and report.html into the folder

    return study.run(Study(described, num_folds, steps, tables), out, fold=fold, merge=merge)
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core import json_io
from core.commands import results
from core.commands.steps import Records, Step, left_out, read_steps, run_steps
from core.errors import InputError
from core.lock import only_writer
from core.report.manifest import commit, versions

logger = logging.getLogger(__name__)

VERSION = 1
STUDY, EXTERNAL, MERGED, STEPS = "study.json", "external", "merged", "steps.json"


class Ended(NamedTuple):
    """Steps that have ended.

    Args:
      path: folder of them all.
      left_out: why, by step, of those that were left out.
      names: of all steps.
    """

    path: Path
    left_out: Mapping[str, str]
    names: Sequence[str]

    def of(self, step: str) -> Path | None:
        """Folder of a step; None where it was left out.

        Raises:
          ValueError: there is no such step.
        """
        if step not in self.names:
            raise ValueError(f"no step {step!r}; there are {', '.join(self.names)}")
        return None if step in self.left_out else self.path / step


class Study(NamedTuple):
    """What a paper makes of a cross-validation.

    Args:
      described: what decides the results, as JSON has it: data sets, cases, recipes, options. A
        call with anything else is refused.
      num_folds: of the cross-validation.
      steps: fold, from 0 → its steps.
      merge: (folds, external steps, folder) → writes the tables into the folder.
      external: folds → steps on data sets that no fold has seen; their `inputs` name these.
    """

    described: Mapping[str, Any]
    num_folds: int
    steps: Callable[[int], Sequence[Step]]
    merge: Callable[[Sequence[Ended], Ended, Path], object]
    external: Callable[[Sequence[Ended]], Sequence[Step]] = lambda folds: ()


def run(study: Study, out: Path, *, fold: int | None = None, merge: bool = False) -> int:
    """Do one fold, or merge those that are done, or both for all folds.

    Args:
      study: the paper's.
      out: OUT.
      fold: do this one alone.
      merge: only merge.

    Returns:
      1 if the paper's job failed on some case, else 0.

    Raises:
      InputError: OUT is of another study, no such fold, folds to merge that are not complete, or a
        fold that another call is doing.
    """
    if fold is not None and merge:
        raise InputError("give --fold or --merge, or neither for all folds and the tables")
    if fold is not None and not 0 <= fold < study.num_folds:
        raise InputError(f"there is no fold {fold}; the study has {study.num_folds}, from 0")
    if merge and not (out / STUDY).is_file():
        raise InputError("is no study", path=out, hint="do the folds first, with --fold or without")
    _open(study, out)
    if fold is not None:
        ended = _do_fold(study, out, fold)
        return _any_failed(ended.path)
    for number in () if merge else range(study.num_folds):
        _do_fold(study, out, number)
    _merge(study, out)
    return max(_any_failed(path) for path in [*out.glob("fold_*"), out / EXTERNAL])


def _do_fold(study: Study, out: Path, fold: int) -> Ended:
    path, steps = _fold_folder(out, fold), study.steps(fold)
    with only_writer(path):
        return _ended(path, run_steps(path, steps, _depends_on(study, fold)))


def _merge(study: Study, out: Path) -> None:
    """Tables of what is on disk, and of nothing else."""
    records = _complete(study, out)
    folds = [_ended(_fold_folder(out, fold), of_fold) for fold, of_fold in enumerate(records)]
    on_folds = [study.described, records]
    of_external = run_steps(out / EXTERNAL, study.external(folds), on_folds)
    external = _ended(out / EXTERNAL, of_external)

    def tables(folder: Path) -> None:
        shutil.rmtree(folder)  # what a call that was killed left
        folder.mkdir()
        by_fold = [{"fold": fold, "steps": _told(of)} for fold, of in enumerate(records)]
        told = {"folds": by_fold, EXTERNAL: _told(of_external)}
        json_io.write_json(folder / STEPS, told)
        study.merge(folds, external, folder)

    run_steps(out, [Step(MERGED, tables)], [*on_folds, of_external])
    logger.info("%s: tables of %d folds", out / MERGED, study.num_folds)


def _complete(study: Study, out: Path) -> list[Records]:
    """Records of all folds.

    Raises:
      InputError: some steps have not ended.
    """
    records, missing = [], []
    for fold in range(study.num_folds):
        steps = study.steps(fold)
        ended = read_steps(_fold_folder(out, fold), steps, _depends_on(study, fold))
        records.append(ended)
        if absent := [step.name for step in steps if step.name not in ended]:
            missing.append(f"fold {fold}: {', '.join(absent)}")
    if missing:
        hint = "do a fold with --fold, or all that is missing with neither --fold nor --merge"
        raise InputError(f"is not complete; {'; '.join(missing)}", path=out, hint=hint)
    return records


def _depends_on(study: Study, fold: int) -> Any:
    return [study.described, study.num_folds, fold]


def _fold_folder(out: Path, fold: int) -> Path:
    return out / f"fold_{fold}"


def _ended(path: Path, records: Records) -> Ended:
    return Ended(path, left_out(records), tuple(records))


def _told(records: Records) -> list[dict[str, Any]]:
    return [
        {"step": name, "status": r.status, "reason": r.reason, "seconds": r.seconds}
        for name, r in records.items()
    ]


def _any_failed(folder: Path) -> int:
    """1 if a results.json of a step has a case that failed."""
    files = folder.glob(f"*/{results.RESULTS}")
    cases = (case for path in files for case in json_io.read_json(path)["cases"])
    return int(any(case["status"] == "failed" for case in cases))


def refuse_another(out: Path, described: Mapping[str, Any]) -> dict[str, Any] | None:
    """Content of study.json, where it is there.

    Args:
      out: OUT.
      described: some of what it has, or all.

    Raises:
      InputError: the folder is of another study.
    """
    path = out / STUDY
    if not path.is_file():
        return None
    stored, wanted = json_io.read_json(path), json_io.plain(described)
    differences = list(_differences({name: stored.get(name) for name in wanted}, wanted))
    if differences:
        text = f"is of another study: {', '.join(differences)}"
        raise InputError(
            text, path=path, hint="give what it was begun with, or choose another --out"
        )
    return stored


def _open(study: Study, out: Path) -> None:
    """Write study.json, or check that the one there says the same; jobs at once write the same."""
    described = {"version": VERSION, **study.described, "num_folds": study.num_folds}
    software = {"commit": commit(Path(__file__).parent), "versions": versions()}
    stored = refuse_another(out, described)
    if stored is None:
        json_io.write_json(out / STUDY, {**described, "begun_with": software})
    else:
        # Every run has its commit in its manifest; here only the first is kept.
        for difference in _differences(stored["begun_with"]["versions"], software["versions"]):
            logger.warning("%s was begun with other software: %s", out, difference)


def _differences(before: Any, now: Any, name: str = "") -> Iterator[str]:
    """What differs in nested tables: "recipes.unet.run.steps: 100 → 200"."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before | now:
            inner = before.get(key, "absent"), now.get(key, "absent")
            yield from _differences(*inner, f"{name}.{key}" if name else key)
    elif before != now:
        yield f"{name}: {_short(before)} → {_short(now)}"


def _short(value: Any) -> Any:
    return "there" if isinstance(value, dict) else value
