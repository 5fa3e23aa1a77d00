"""Steps that write into a folder of their own, are done once, and go on after a kill.

What is known of a step stands beside its folder, in STEP.json: begun, done, or left out and why,
and the key of all that it depends on. A step that has ended under its key is not done again. One
that was killed finds its folder as it left it; under another key it begins with none. Whoever
removes STEP.json has the step done again, and those that depend on it.
"""

import hashlib
import json
import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from core import json_io
from core.errors import InputError

logger = logging.getLogger(__name__)


class LeftOut(Exception):
    """Raised by a step that cannot be done with these data or this installation.

    It is tried again at every call, so it should look before it works.

    Args:
      reason: in words that a user understands, such as "no node is known to be metastatic".
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Step(NamedTuple):
    """A part of a longer work.

    Args:
      name: of its folder.
      run: writes into the folder that it is given, and finds those of other steps beside it. After
        a kill it is called with the same folder again, and ends with the same content.
      needs: steps before it, without which it is left out too.
      uses: steps before it that it reads where they are not left out.
      inputs: what else it depends on, as JSON has it; another value does it anew.
    """

    name: str
    run: Callable[[Path], object]
    needs: Sequence[str] = ()
    uses: Sequence[str] = ()
    inputs: Any = None


class Record(NamedTuple):
    """Content of STEP.json.

    Args:
      key: of what the step depends on.
      status: how far it is.
      reason: why it is left out.
      id: of what it wrote: new whenever it is done, so that those depending on it are done again.
      seconds: of the call that ended it.
    """

    key: str
    status: Literal["begun", "done", "left out"]
    reason: str = ""
    id: str = ""
    seconds: float = 0.0

    @property
    def has_ended(self) -> bool:
        """Whether the step is done, or left out."""
        return self.status != "begun"


Records = dict[str, Record]
"""By step."""


def run_steps(folder: Path, steps: Sequence[Step], depends_on: Any) -> Records:
    """Do every step that has not ended, in order.

    Args:
      folder: gets STEP/ and STEP.json of each.
      steps: each after those that it needs or uses.
      depends_on: of all of them, as JSON has it.

    Returns:
      Records of steps that have all ended.

    Raises:
      ValueError: a name comes twice, or a step needs or uses one that is not before it.
    """
    records: Records = {}
    for step in _in_order(steps):
        key = _key(step, depends_on, records)
        records[step.name] = _run(folder, step, key, records)
    return records


def read_steps(folder: Path, steps: Sequence[Step], depends_on: Any) -> Records:
    """Records of the steps that have ended, as `run_steps` would take them for ended."""
    records: Records = {}
    for step in _in_order(steps):
        if {*step.needs, *step.uses} <= records.keys():
            record = _read(folder, step.name)
            if record and record.has_ended and record.key == _key(step, depends_on, records):
                records[step.name] = record
    return records


def left_out(records: Mapping[str, Record]) -> dict[str, str]:
    """Why, by step, of those that were left out."""
    return {name: r.reason for name, r in records.items() if r.status == "left out"}


def _in_order(steps: Sequence[Step]) -> Iterable[Step]:
    names: set[str] = set()
    for step in steps:
        if step.name in names:
            raise ValueError(f"two steps are called {step.name}")
        if absent := {*step.needs, *step.uses} - names:
            raise ValueError(f"step {step.name} comes before {', '.join(sorted(absent))}")
        names.add(step.name)
    return steps


def _key(step: Step, depends_on: Any, records: Records) -> str:
    before = {name: records[name].id for name in (*step.needs, *step.uses)}
    text = json.dumps(json_io.plain([depends_on, step.name, step.inputs, before]), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _run(folder: Path, step: Step, key: str, records: Records) -> Record:
    own, before = folder / step.name, _read(folder, step.name)
    if before and before.status == "done" and before.key == key:
        return before
    if reason := _unmet(step, records):
        return _write(folder, step.name, _left_out(key, reason))
    if own.exists() and (before is None or before.key != key):
        shutil.rmtree(own)
    _write(folder, step.name, Record(key, "begun"))
    own.mkdir(parents=True, exist_ok=True)
    logger.info("%s", own)
    start = time.perf_counter()
    try:
        step.run(own)
    except LeftOut as error:
        logger.warning("%s is left out: %s", own, error.reason)
        shutil.rmtree(own)
        return _write(folder, step.name, _left_out(key, error.reason))
    seconds = time.perf_counter() - start
    return _write(folder, step.name, Record(key, "done", "", secrets.token_hex(6), seconds))


def _left_out(key: str, reason: str) -> Record:
    return Record(key, "left out", reason, id=reason)


def _unmet(step: Step, records: Records) -> str:
    reasons = left_out(records)
    absent = (name for name in step.needs if name in reasons)
    return next((f"{name} is left out: {reasons[name]}" for name in absent), "")


def _read(folder: Path, name: str) -> Record | None:
    """Record of a step that its folder is there for; None where it was never begun, or removed."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        record = Record(**json_io.read_json(path))
    except TypeError:
        hint = "remove it, and the step is done again"
        raise InputError("is no record of a step", path=path, hint=hint) from None
    is_there = (folder / name).is_dir() or record.status == "left out"
    return record if is_there else None


def _write(folder: Path, name: str, record: Record) -> Record:
    json_io.write_json(folder / f"{name}.json", record._asdict())
    return record
