"""Labelled cases of data sets before they are read: what a paper hands to `prepare`."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.splits import Split
from core.io.paths import Skipped

Made = tuple[Mapping[str, NDArray], Mapping[str, Any]]
"""Arrays by name, and meta: the arguments of `cache.write_case`; meta has the image's `digest`,
and of volumes "scans", what each is like (`core.preprocess.appearance`), as dicts."""


class Source(NamedTuple):
    """A labelled case of a data set before it is read.

    Args:
      id: unique in its data set.
      patient: whose it is, as the data set tells.
      files: all that it is made from.
      read: → arrays and meta.
      num_bytes: → what its arrays will take on disk, about, from headers alone.
      facts: what tables say of it; kept in the index, so that a mended table needs no new reading.
      labels: what the user says that label names mean; a case is made anew where they say
        otherwise.
    """

    id: str
    patient: str
    files: tuple[Path, ...]
    read: Callable[[], Made]
    num_bytes: Callable[[], int]
    facts: Mapping[str, Any] = {}
    labels: Mapping[str, str] = {}


class Sources(NamedTuple):
    """The labelled cases of a data set, and what was left out of it.

    Args:
      root: its folder.
      cases: in the order of their ids.
      skipped: what was left out, and why.
      folds: splits that the data set prescribes.
      provenance: what else tells where the labels come from: their commit, and what the user says
        that their names mean.
      label_names: as its files have them.
    """

    root: Path
    cases: Sequence[Source]
    skipped: Sequence[Skipped] = ()
    folds: Sequence[Split] = ()
    provenance: Mapping[str, Any] = {}
    label_names: Collection[str] = ()


def sources_of(
    data: Any,
    make: Callable[[Any], Made],
    num_bytes: Callable[[Any], int],
    facts: Callable[[Any], Mapping[str, Any]] = lambda case: {},
) -> Sources:
    """Labelled cases of a data set as its reader gives them.

    Args:
      data: with `root`, `cases` (each with `id`, `patient` and `files`), `skipped`, `folds`,
        `provenance` and `label_names`.
      make: case → arrays and meta.
      num_bytes: case → what these will take on disk, about, from headers alone.
      facts: case → what tables say of it.
    """
    labels = data.provenance.get("labels", {})
    cases = [
        Source(c.id, c.patient, c.files, partial(make, c), partial(num_bytes, c), facts(c), labels)
        for c in data.cases
    ]
    folds = [Split(fold.train, fold.val) for fold in data.folds]
    return Sources(data.root, cases, data.skipped, folds, data.provenance, data.label_names)


def digest(array: NDArray) -> str:
    """Identity of an image by its content, whatever its file is called: of its rounded voxels.

    Args:
      array: HU or gray values (d, ...) in the orientation that networks see.
    """
    content = hashlib.blake2b(repr(array.shape).encode(), digest_size=12)
    for section in array:  # by slice: no copy of a whole scan
        content.update(np.rint(section).astype(np.int16).tobytes())
    return content.hexdigest()
