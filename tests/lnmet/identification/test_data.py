"""Crops around single nodes, and batches in which both kinds come alike."""

from dataclasses import replace

import numpy as np
import pytest

from core.augment.config import VolumeAugmentConfig
from core.errors import InputError
from lnmet.data import fill_of, foreground_intensities, loaded_shape
from lnmet.identification.config import DataConfig, IdentificationConfig, ModelConfig
from lnmet.identification.data import batch_maker, cut, is_positive, nodes_of, usable
from lnmet.labels import METASTATIC, NODE
from tests.lnmet.phantoms import prepared

PATCH = (8, 12, 12)
CFG = IdentificationConfig(
    data=DataConfig(patch=PATCH, batch=4),
    augment=VolumeAugmentConfig(scheme="none"),
    model=ModelConfig(features=(2, 2), strides=((1, 1, 1), (2, 2, 2))),
)
CASES = [prepared("a"), prepared("b", seed=1)]
CHANNELS = foreground_intensities(CASES, CFG.data.phases, "nodes")
FILL = fill_of(CHANNELS)


def maker(cfg=CFG, cases=CASES, **hosts):
    return batch_maker(cases, cfg, CHANNELS, **hosts)


def test_a_batch_is_a_pure_function_of_seed_and_step():
    first, again = (maker()(3) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    others = [maker(replace(CFG, run=replace(CFG.run, seed=1))), maker()]
    assert any((first["image"] != others[0](step)["image"]).any() for step in (3, 4))
    assert any((first["image"] != others[1](step)["image"]).any() for step in (4, 5))


def test_hosts_share_a_batch():
    whole = maker()(5)
    parts = [maker(host=host, num_hosts=2)(5) for host in range(2)]
    for name, array in whole.items():
        np.testing.assert_array_equal(array, np.concatenate([part[name] for part in parts]))


@pytest.mark.parametrize(
    ("batch", "positive", "expected"), [(8, 0.5, 4), (8, 0.25, 2), (5, 0.4, 2)]
)
def test_a_fixed_share_of_a_batch_is_metastatic(batch, positive, expected):
    cfg = replace(CFG, data=replace(CFG.data, batch=batch, positive=positive))
    for step in range(3):
        assert maker(cfg)(step)["metastatic"].sum() == expected
    assert sum(is_positive(place, cfg.data) for place in range(batch)) == expected


def test_a_node_stands_in_the_middle_of_its_crop():
    for node in nodes_of(CASES):
        example = cut(node, CFG.data.phases, PATCH, FILL)
        middle = tuple(n // 2 for n in PATCH)
        at = tuple(node.voxel)
        np.testing.assert_array_equal(example["image"][middle], node.case.image[at])
        assert example["instance"][middle] == 1
        assert example["metastatic"] == node.is_metastatic
        assert node.case.label[at] == (METASTATIC if node.is_metastatic else NODE)


def test_a_mask_is_of_one_node_alone():
    case = prepared("a")
    case.label[15, 9, 26] = NODE  # another one, in the same crop
    case.label[17, 9, 21] = METASTATIC  # touches it, and is of the other kind
    node = next(n for n in nodes_of([case]) if not n.is_metastatic)
    example = cut(node, CFG.data.phases, (12, 16, 16), FILL)
    assert example["instance"].sum() == 27
    start = node.voxel - [6, 8, 8]
    expected = np.zeros_like(example["instance"])
    expected[tuple(slice(a - s, a - s + 3) for a, s in zip((14, 8, 20), start, strict=True))] = 1
    np.testing.assert_array_equal(example["instance"], expected)


def test_a_node_at_the_border_stays_in_the_middle_beside_the_mean_of_the_foreground():
    case = prepared("a")
    node = nodes_of([case])[0]._replace(voxel=np.array([14, 8, 20], np.int32))
    example = cut(node, ("venous",), (8, 20, 12), FILL[1:])
    # Two rows of 20 lie before the first of the scan.
    assert (example["image"][:, :2] == FILL[1]).all()
    np.testing.assert_array_equal(example["image"][:, 2:, :, 0], case.image[10:18, :18, 14:26, 1])


def test_a_larger_crop_is_loaded_for_the_augmentation():
    cfg = replace(CFG, augment=VolumeAugmentConfig())
    loaded = loaded_shape(cfg)
    assert all(n > m for n, m in zip(loaded, PATCH, strict=True))
    assert maker(cfg)(0)["instance"].shape == (4, *loaded)


def test_nodes_of_both_kinds_are_needed():
    for kind, message in ((1, "other than metastatic"), (0, "metastatic")):
        cases = [case._replace(nodes=case.nodes[case.nodes[:, 0] == kind]) for case in CASES]
        with pytest.raises(InputError, match=f"no training case has a lymph node {message}"):
            maker(cases=cases)


def test_data_that_does_not_name_metastatic_nodes_is_refused():
    plain = [case._replace(annotated=case.annotated - {METASTATIC}) for case in CASES]
    with pytest.raises(InputError, match="no data set names metastatic lymph nodes"):
        usable(plain, CFG.data.phases)
    assert usable([*plain, CASES[0]], CFG.data.phases) == [CASES[0]]


def test_a_case_without_a_phase_is_refused():
    case = CASES[0]._replace(phases=("venous",))
    with pytest.raises(InputError, match="case a has no arterial phase"):
        usable([case], CFG.data.phases)
