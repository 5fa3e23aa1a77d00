"""Who is learned from, chosen by and held out: by patient, every status alike, for all networks."""

import numpy as np
import pytest

from core.csv_io import write_csv
from core.errors import InputError
from lnmet.config import PrepareConfig, SplitConfig
from lnmet.parts import folds, parts_of
from lnmet.prepare import cache_name, open_cases, prepare
from tests.lnmet.phantoms import prepared
from tests.lnmet.tiny import volume, write_raw
from tests.refusals import refused

NAMES = [f"{number:02d}" for number in range(20)]
POSITIVE = NAMES[:10]
SPLIT = SplitConfig()


def test_every_patient_is_held_out_once():
    cases = [prepared(name)._replace(patient=name[0]) for name in ("a1", "a2", "b", "c", "d")]
    splits = folds(cases, SplitConfig(num_folds=2))
    held_out = [id_ for split in splits for id_ in split.test]
    assert sorted(held_out) == ["a1", "a2", "b", "c", "d"]
    assert all({"a1", "a2"} <= set(s.test) or not {"a1", "a2"} & set(s.test) for s in splits)


def test_more_folds_than_patients_are_refused():
    with refused(None, "3 folds of 2", hint="--split.num-folds"):
        folds([prepared("a"), prepared("b")], SplitConfig(num_folds=3))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Twenty prepared cases, the first half of them positive."""
    root, label = tmp_path_factory.mktemp("data"), np.zeros((3, 4, 4), np.uint8)
    label[1, 1, 1] = 1
    truth = volume(label)
    # Each patient has a scan of their own: cases of one image would count as one patient's.
    scans = {name: volume(label.astype(np.int16) + n) for n, name in enumerate(NAMES)}
    images = {name: [scan, scan] for name, scan in scans.items()}
    data = write_raw(root / "data", images, dict.fromkeys(NAMES, truth), {"PDAC": 1})
    rows = [{"patient": name, "status": int(name in POSITIVE)} for name in NAMES]
    write_csv(data / "status.csv", rows)
    cfg = PrepareConfig(spacing_mm=(2.0, 1.0, 1.0))
    prepare([data], root / "cache", cfg)
    return root / "cache" / cache_name(cfg)


@pytest.mark.parametrize("fold", range(5))
def test_each_part_has_its_share_of_both_statuses(cache, fold):
    parts = parts_of(cache, NAMES, fold, SPLIT)
    # 64, 16 and 20 % of ten of each; 12.8 and 3.2 are rounded to whole patients.
    assert [len(part) for part in parts] == [13, 3, 4]
    num_positive = [len(set(part) & set(POSITIVE)) for part in parts]
    assert num_positive[2] == 2
    assert num_positive[1] in (1, 2)


def test_networks_hold_the_same_patients_out_whatever_they_can_use(cache):
    whole = parts_of(cache, NAMES, 1, SPLIT)
    some = parts_of(cache, set(NAMES[::2]), 1, SPLIT)
    for part, of_whole in zip(some, whole, strict=True):
        assert part == tuple(name for name in of_whole if name in NAMES[::2])


def test_without_a_fold_all_that_is_usable_is_learned_from(cache):
    assert parts_of(cache, NAMES[3:6], None, SPLIT) == (tuple(NAMES[3:6]), (), ())


def test_a_fold_without_a_case_to_learn_from_is_refused(cache):
    test = parts_of(cache, NAMES, 0, SPLIT).test
    with pytest.raises(InputError, match="no case to learn from"):
        parts_of(cache, test, 0, SPLIT)


def test_the_status_is_that_of_the_table(cache):
    assert {case.id for case in open_cases(cache) if case.status} == set(POSITIVE)
