"""Label names of data sets, and classes of the networks."""

from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.phantom.ct.phantom import STRUCTURES
from lnmet.config import ORGANS
from lnmet.demo import STRUCTURES as WRITTEN
from lnmet.labels import (
    CLASSES,
    IGNORE,
    METASTATIC,
    NAMES,
    NODE,
    PANCREAS,
    PDAC,
    annotated_classes,
    classes,
    has_target,
    meaning,
    organs_of,
)


def test_the_structures_of_phantoms_mean_our_ids():
    ids = {name: id_ for id_, name in enumerate(WRITTEN, start=1)} | {"background": 0}
    assert set(WRITTEN) <= set(STRUCTURES)
    assert meaning(ids, Path()).table.tolist() == [0, *NAMES]


def test_names_are_told_whatever_their_ids_and_spelling():
    ids = {"Lymph-Node": 7, "PDAC_lesion": 2, "liver": 3, "ignore": 4, "background": 0}
    told = meaning(ids, Path())
    assert told.table.tolist() == [0, 0, PDAC, 0, IGNORE, 0, 0, NODE]
    assert told.annotated == {PDAC, NODE}
    assert told.unused == ("liver",)


def test_names_without_any_that_is_known_are_refused():
    with pytest.raises(InputError) as refused:
        meaning({"background": 0, "liver": 1}, Path("data"))
    assert refused.value.path == Path("data/dataset.json")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("organs", [0, 1, PANCREAS, PANCREAS, 0, 0, IGNORE]),
        ("pdac", [0, 0, 0, 1, 0, 0, IGNORE]),
        ("nodes", [0, 0, 0, 0, 1, 1, IGNORE]),
    ],
)
def test_classes_of_a_target(target, expected):
    label = np.array([0, 1, PANCREAS, PDAC, NODE, METASTATIC, IGNORE], np.uint8)
    assert classes(label, target).tolist() == expected
    assert max(c for c in expected if c != IGNORE) < len(CLASSES[target])


def test_the_tumor_is_pancreas_and_what_is_ignored_is_no_organ():
    label = np.array([PANCREAS, PDAC, NODE, IGNORE], np.uint8)
    assert organs_of(label).tolist() == [PANCREAS, PANCREAS, 0, 0]


def test_a_case_speaks_of_the_classes_it_is_annotated_with():
    annotated = frozenset({1, PDAC})
    organs = annotated_classes(annotated, "organs")
    # A tumor alone says where some pancreas is.
    assert np.flatnonzero(organs).tolist() == [0, 1, PANCREAS]
    assert len(organs) == len(ORGANS) + 1
    assert annotated_classes(annotated, "pdac").all()
    assert [has_target(annotated, t) for t in ("organs", "pdac", "nodes")] == [True, True, False]
