"""Ranges of attention that fit the nodes of a training set."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from core import cli
from core.commands import train as training
from core.io import nifti
from core.train.run_folder import read_division
from lnmet import ranges as module
from lnmet.cases import organ_maps
from lnmet.cli import COMMANDS
from lnmet.config import ORGANS, TABLE_II, PrepareConfig, Range
from lnmet.data import Prepared
from lnmet.labels import METASTATIC, NODE, PANCREAS, PDAC
from lnmet.prepare import cache_name, prepare
from lnmet.ranges import ranges, ranges_of, ranges_table, widened
from lnmet.train import train
from tests.lnmet.phantoms import prepared
from tests.lnmet.tiny import phantoms, tiny, volume, write_raw
from tests.refusals import refused

CFG = tiny("tiny-nodes")
SPACING = (0.8, 0.7, 0.7)
AORTA = 4


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ranges")
    prepare([phantoms(root / "data", num_cases=7)], root / "cache", CFG.prepare)
    return root / "cache"


def brute_force(case: Prepared) -> np.ndarray:
    """Of the whole scan, by scipy; nodes lie in no organ."""
    label, fitted = np.asarray(case.label), np.tile([np.inf, -np.inf], (len(ORGANS), 1))
    organs = {PANCREAS: (label == PANCREAS) | (label == PDAC), AORTA: label == AORTA}
    outside = (np.logical_not(mask) for mask in organs.values())
    distances = np.array([ndimage.distance_transform_edt(m, sampling=SPACING) for m in outside])
    for k, id_ in enumerate(organs):
        own = distances[k][(label >= NODE) & (distances.argmin(0) == k)]
        fitted[id_ - 1] = own.min(), own.max()
    return fitted


def test_ranges_of_a_case_are_the_extremes_of_its_distances():
    case = prepared("a")
    label = case.label[...].copy()
    label[25:28, 33:39, 2:4] = METASTATIC  # far from all, outside of their box
    label[20:22, 34:37, 20:24] = NODE  # at the aorta
    case = case._replace(label=label)
    # float32 beside float64.
    np.testing.assert_allclose(ranges_of(case, SPACING), brute_force(case), rtol=1e-5)


def test_organs_that_are_kept_apart_tell_what_is_below_a_node(tmp_path):
    case = prepared("a")
    label, organs = (np.zeros(case.label.shape, np.uint8) for _ in range(2))
    organs[12:19, 6:13, 18:25] = PANCREAS  # the node, of 3 voxels, and two around it
    np.copyto(label, organs)
    label[14:17, 8:11, 20:23] = NODE
    case = case._replace(label=label)
    stored = replace(volume(organs), spacing_mm=SPACING)
    nifti.write(tmp_path / "a.nii.gz", stored)
    fitted = ranges_of(case, SPACING, organ_maps(tmp_path, "lnmet"))
    # From the middle of the node the fourth voxel is outside, from its edge the third.
    assert fitted[PANCREAS - 1].tolist() == pytest.approx([-4 * 0.7, -3 * 0.7])
    # What the label map itself tells: the node is a hole in the organ.
    assert ranges_of(case, SPACING)[PANCREAS - 1].tolist() == pytest.approx([0.7, 2 * 0.7])


def test_an_organ_map_of_another_scan_is_refused(tmp_path):
    nifti.write(tmp_path / "a.nii.gz", volume(np.ones((4, 5, 6), np.uint8)))
    with refused(tmp_path / "a.nii.gz", "does not lie on the grid of case a"):
        ranges_of(prepared("a"), SPACING, organ_maps(tmp_path, "lnmet"))
    with refused(tmp_path, "no label map of case b"):
        ranges_of(prepared("b"), SPACING, organ_maps(tmp_path, "lnmet"))


def test_a_case_without_organs_or_nodes_tells_nothing():
    case = prepared("a")
    for kept in ((0,), (NODE,), (AORTA,)):
        label = np.where(np.isin(case.label, kept), case.label, 0).astype(np.uint8)
        fitted = ranges_of(case._replace(label=label), SPACING)
        assert (fitted == [np.inf, -np.inf]).all()


def test_ranges_are_widened_to_tenths():
    assert widened(Range(-1.23, 4.56)) == (-1.3, 4.6)
    assert widened(Range(0.7, 18.0)) == (0.7, 18.0)


def test_the_table_has_table_ii_beside_the_fitted_range():
    none = [np.inf, -np.inf]
    of_cases = [np.array([[low, 9.0]] + [none] * 9) for low in (1.0, 2.0)]
    first, second, *_ = ranges_table(of_cases).rows
    assert first == ("spleen", 1.0, 9.0, "0 … 16", 2)
    assert second == ("esophagus", None, None, "0 … 25", 0)


def lnmet(*words: object) -> int:
    return cli.run(COMMANDS, prog="lnmet", description="", args=[*map(str, words)])


@pytest.mark.slow  # prepares a data set once more
def test_the_printed_flags_prepare_with_the_fitted_ranges(cache, tmp_path, capsys):
    spacing = ("--prepare.spacing-mm", *CFG.prepare.spacing_mm)
    assert lnmet("ranges", "--data", cache, *spacing) == 0
    *table, flags = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + len(ORGANS)
    words = flags.split()
    assert words[:4] == [*map(str, spacing)]
    values = iter(map(float, words[words.index("--prepare.ranges-mm") + 1 :]))
    pairs = tuple(zip(values, values, strict=True))
    for row, organ, (low, high) in zip(table[2:], ORGANS, pairs, strict=True):
        assert row.startswith(organ)
        if row.endswith(" 0"):
            assert (low, high) == TABLE_II[organ]
        else:
            fitted = [float(v) for v in row[len(organ) :].split()[:2]]
            # Widened to tenths; the table has three decimals.
            assert 0 <= fitted[0] - low < 0.1 + 1e-3
            assert 0 <= high - fitted[1] < 0.1 + 1e-3
    data = cache.parent / "data"
    assert lnmet("prepare", "--data", data, "--out", tmp_path / "again", *words) == 0
    (folder,) = (tmp_path / "again").iterdir()
    assert folder.name == cache_name(replace(CFG.prepare, ranges_mm=pairs))


def test_a_fold_fits_to_the_cases_that_training_learns_from(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "fit", lambda *args, **kwargs: None)
    monkeypatch.setattr(training, "finish_run", lambda *args, **kwargs: None)
    seen = []

    def watched(case, *more):
        seen.append(case.id)
        return ranges_of(case, *more)

    monkeypatch.setattr(module, "ranges_of", watched)
    for fold in (None, 0, 1):
        seen.clear()
        ranges([cache], CFG.split, CFG.prepare, fold=fold)
        train(CFG, [cache], tmp_path / f"{fold}", fold=fold)
        division = read_division(tmp_path / f"{fold}")
        assert tuple(seen) == division.train
        assert bool(division.test) is bool(division.val) is (fold is not None)


def test_what_is_no_cache_is_refused(cache):
    data = cache.parent / "data"
    with refused(data, "holds no prepared cases", hint="run lnmet prepare"):
        ranges([data])
    with refused(cache, "is prepared otherwise", hint="run lnmet prepare"):
        ranges([cache], CFG.split, PrepareConfig(spacing_mm=(7.0, 7.0, 7.0)))
    with refused(None, "fold 2 does not exist"):
        ranges([cache], CFG.split, CFG.prepare, fold=2)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({"aorta": 1}, "no case is annotated with nodes"),
        ({"lymph_node": 1}, "shows no node beside an organ"),
        ({"lymph_node": 2, "aorta": 1}, "shows no node beside an organ"),
    ],
)
def test_cases_without_nodes_or_organs_are_refused(tmp_path, ids, message):
    image = volume(np.arange(400, dtype=np.int16).reshape(4, 10, 10))
    label = volume(np.ones((4, 10, 10), np.uint8))
    data = write_raw(tmp_path / "data", {"a": [image, image]}, {"a": label}, ids)
    prepare([data], tmp_path / "cache", CFG.prepare)
    folder = tmp_path / "cache" / cache_name(CFG.prepare)
    with refused(folder, message):
        ranges([tmp_path / "cache"], CFG.split, CFG.prepare)
    assert json.loads((folder / "index.json").read_text())
