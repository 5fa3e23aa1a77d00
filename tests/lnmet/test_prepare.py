"""From two phases and their label to the grid that networks see."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from core.config import fingerprint
from core.data.index import Contents, write_index
from core.preprocess.crop import Box, crop
from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.anatomy import attention
from lnmet.cases import LabelledCase
from lnmet.config import ORGANS, PrepareConfig, Range
from lnmet.labels import IGNORE, METASTATIC, NODE, PANCREAS, PDAC, organs_of
from lnmet.prepare import MAX_VOXELS, find_cache, make, organ_box
from tests.refusals import refused

SHAPE = (12, 20, 24)
CFG = PrepareConfig(spacing_mm=(2.0, 2.0, 2.0), margin_mm=6.0)


def labelled(label: np.ndarray, spacing_mm=(2.0, 2.0, 2.0), phases=("arterial", "venous")):
    """A case whose phases are ramps."""
    grid = Volume(label, spacing_mm, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
    ramp = np.arange(label.size, dtype=np.int16).reshape(label.shape)
    images = [grid.with_array(ramp + 100 * c) for c in range(len(phases))]
    annotated = frozenset({1, PANCREAS, PDAC, NODE})
    path = Path("a_0001.nii.gz")
    return LabelledCase(
        "a",
        "a",
        path,
        (),
        (path,),
        phases,
        annotated,
        lambda: (images, grid),
        lambda: grid,
        lambda: grid,
    )


@pytest.fixture
def label() -> np.ndarray:
    ids = np.zeros(SHAPE, np.uint8)
    ids[4:8, 6:12, 8:14] = PANCREAS
    ids[5:6, 7:9, 9:11] = PDAC
    ids[2:3, 8:9, 8:9] = NODE
    ids[11, 19, 23] = IGNORE
    return ids


def test_a_case_keeps_both_phases_and_its_ids(label):
    case = labelled(label)
    arrays, meta = make(case, CFG)
    images, _ = case.read()
    np.testing.assert_array_equal(arrays["label"], label)
    np.testing.assert_array_equal(arrays["image"], np.stack([i.array for i in images], -1))
    assert meta["phases"] == ("arterial", "venous")
    assert meta["annotated"] == sorted(case.annotated)


def test_another_spacing_makes_another_grid(label):
    arrays, _ = make(labelled(label, (4.0, 1.0, 2.0)), CFG)
    assert arrays["label"].shape == (24, 10, 24)
    assert arrays["image"].shape == (24, 10, 24, 2)
    assert arrays["attention"].shape == (24, 10, 24)
    assert set(np.unique(arrays["label"])) <= {0, PANCREAS, PDAC, NODE, IGNORE}


def test_attention_in_the_box_is_that_of_the_whole(label):
    """The margin is wider than the ranges with their ramps, so nothing is cut off."""
    cfg = PrepareConfig(CFG.spacing_mm, 6.0, ranges_mm=((-1.0, 2.0),) * len(ORGANS))
    arrays, meta = make(labelled(label), cfg)
    box = Box(*map(tuple, meta["box"]))
    assert box.shape != SHAPE
    ranges = [Range(-1.0, 2.0)] * len(ORGANS)
    whole = attention(jnp.asarray(organs_of(label)), cfg.spacing_mm, ranges)
    # Stored in half precision.
    np.testing.assert_allclose(arrays["attention"], whole, atol=2**-11)
    outside = np.ones(SHAPE, bool)
    crop(outside, box)[...] = False
    assert not arrays["attention"][outside].any()


def test_the_box_has_its_margin_in_millimeters(label):
    cfg = PrepareConfig((2.0, 1.0, 4.0), 6.0)
    box = organ_box(organs_of(label) > 0, cfg)
    assert box == Box((1, 0, 6), (11, 18, 16))
    assert organ_box(np.zeros(SHAPE, bool), cfg) == Box((0, 0, 0), SHAPE)


def test_without_organs_there_is_no_attention():
    ids = np.zeros(SHAPE, np.uint8)
    ids[2, 8, 8] = NODE
    arrays, meta = make(labelled(ids), CFG)
    assert "attention" not in arrays
    assert meta["box"] == Box((0, 0, 0), SHAPE)


def test_voxels_to_center_on_are_those_of_each_class(label):
    arrays, _ = make(labelled(label), CFG)
    nodes = arrays["voxels_nodes"]
    assert nodes.tolist() == [[1, 2, 8, 8]]
    organs = arrays["voxels_organs"]
    # The pancreas with its tumor.
    assert (organs[:, 0] == PANCREAS).all()
    assert len(organs) == min(MAX_VOXELS, int(np.isin(label, (PANCREAS, PDAC)).sum()))
    assert {label[tuple(at)] for at in arrays["voxels_pdac"][:, 1:]} == {PDAC}


def test_intensities_are_drawn_of_the_target_in_every_phase(label):
    case = labelled(label)
    arrays, _ = make(case, CFG)
    (node,) = np.unique(arrays["hu_nodes"][0])
    assert node == case.read()[0][0].array[2, 8, 8]
    assert (np.unique(arrays["hu_nodes"][1]) == node + 100).all()
    assert arrays["hu_pdac"].shape[0] == 2


def test_a_case_without_a_target_has_no_intensities_of_it():
    ids = np.zeros(SHAPE, np.uint8)
    ids[4, 5, 6] = 1
    arrays, _ = make(labelled(ids, phases=("venous",)), CFG)
    assert arrays["hu_nodes"].shape == (1, 0)
    assert arrays["voxels_nodes"].shape == (0, 4)


def test_nodes_are_kept_where_metastatic_ones_are_told_apart(label):
    case = labelled(label)
    assert make(case, CFG)[0]["nodes"].shape == (0, 5)
    told = case._replace(annotated=case.annotated | {METASTATIC})
    assert make(told, CFG)[0]["nodes"].tolist() == [[0, 2, 8, 8, 1]]


def test_a_cache_of_an_older_layout_is_refused(tmp_path):
    write_index(tmp_path / fingerprint(CFG), {tmp_path: Contents({}, (), ())})
    with refused(tmp_path, "prepared otherwise", hint="run lnmet prepare"):
        find_cache([tmp_path], CFG, tmp_path / "run")
