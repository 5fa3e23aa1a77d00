"""Patches of a step: foreground, informative negatives, phases."""

from dataclasses import replace

import numpy as np
import pytest

from core.augment.config import VolumeAugmentConfig
from core.errors import InputError
from core.preprocess.fingerprint import intensities
from lnmet.config import Config, DataConfig, ModelConfig
from lnmet.data import batch_maker, foreground_intensities, is_forced, loaded_shape, usable
from lnmet.labels import NODE, PANCREAS, classes
from tests.lnmet.phantoms import prepared

PATCH = (8, 16, 16)
SHALLOW = ModelConfig(features=(2, 2), strides=((1, 1, 1), (2, 2, 2)))
CFG = Config(
    data=DataConfig(patch=PATCH, batch=4, foreground=0.5),
    augment=VolumeAugmentConfig(scheme="none"),
    model=SHALLOW,
)
ORGANS = replace(
    CFG,
    data=replace(CFG.data, target="organs", informative=False),
    model=replace(SHALLOW, attention=False),
)
CASES = [prepared("a"), prepared("b", seed=1)]


def maker(cfg=CFG, cases=CASES, **hosts):
    return batch_maker(
        cases, cfg, foreground_intensities(cases, cfg.data.phases, cfg.data.target), **hosts
    )


def test_a_batch_is_a_pure_function_of_seed_and_step():
    first, again = (maker()(3) for _ in range(2))
    other = maker(replace(CFG, run=replace(CFG.run, seed=1)))(3)
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    assert (first["image"] != other["image"]).any()
    assert (first["image"] != maker()(4)["image"]).any()


def test_hosts_share_a_batch():
    whole = maker()(5)
    parts = [maker(host=host, num_hosts=2)(5) for host in range(2)]
    for name, array in whole.items():
        np.testing.assert_array_equal(array, np.concatenate([part[name] for part in parts]))


def windows(case, corner) -> list[tuple[slice, ...]]:
    """Patches of a case that begin with a voxel of these values."""
    starts = np.argwhere((case.image == corner).all(-1))
    return [tuple(slice(a, a + n) for a, n in zip(s, PATCH, strict=True)) for s in starts]


def test_image_label_and_attention_come_from_one_place():
    """All voxels of a scan differ, so its values tell where a patch was cut."""
    for step in range(4):
        batch = maker()(step)
        for image, label, gate in zip(
            batch["image"], batch["label"], batch["attention"], strict=True
        ):
            ((case, window),) = [
                (case, w)
                for case in CASES
                for w in windows(case, image[0, 0, 0])
                if np.array_equal(case.image[w], image)
            ]
            np.testing.assert_array_equal(label, classes(case.label, "nodes")[window])
            np.testing.assert_array_equal(gate, case.attention[window])


@pytest.mark.parametrize(
    ("batch", "foreground", "expected"),
    [(2, 0.33, [False, True]), (4, 0.5, [False, False, True, True]), (3, 0.0, [False] * 3)],
)
def test_a_fixed_share_of_a_batch_is_around_foreground(batch, foreground, expected):
    cfg = DataConfig(batch=batch, foreground=foreground)
    assert [is_forced(place, cfg) for place in range(batch)] == expected


def test_forced_patches_hold_foreground_and_every_class_comes_as_often():
    make = maker(ORGANS)
    found = {4: 0, PANCREAS: 0}
    for step in range(40):
        for label in make(step)["label"][2:]:  # the forced half
            center = label[tuple(n // 2 for n in PATCH)]
            found[int(center)] = found.get(int(center), 0) + 1
    # Few lie so near a border that they are moved inside; 80 draws of two classes, three standard
    # deviations of a binomial.
    assert abs(found[4] - found[PANCREAS]) < 3 * np.sqrt(80)
    assert found[4] + found[PANCREAS] > 70


def test_other_patches_are_informative_and_lie_in_the_box():
    attention = np.zeros(CASES[0].label.shape, np.float16)
    attention[6:10, 6:10, 8:12] = 0.5
    case = CASES[0]._replace(attention=attention)
    informative, blind = (
        replace(CFG, data=replace(CFG.data, informative=i, foreground=0.0)) for i in (True, False)
    )
    with_attention = [
        [gate.any() for step in range(10) for gate in maker(cfg, [case])(step)["attention"]]
        for cfg in (informative, blind)
    ]
    assert all(with_attention[0])
    assert not all(with_attention[1])


def test_phases_are_the_channels_that_are_asked_for():
    cfg = replace(CFG, data=replace(CFG.data, phases=("venous", "arterial")))
    image = maker(cfg)(0)["image"]
    inside = image[..., 0] > 0  # voxels of the scan; arterial is venous + 1000 there
    np.testing.assert_array_equal(image[inside, 1], image[inside, 0] + 1000)


def test_the_loaded_patch_is_centered_on_the_final_one():
    cfg = replace(CFG, augment=VolumeAugmentConfig(mirror_probability=0.0))
    loaded = loaded_shape(cfg)
    assert all(n > m for n, m in zip(loaded, PATCH, strict=True))
    large, small = (maker(c)(2)["label"] for c in (cfg, CFG))
    middle = tuple(
        slice(n // 2 - m // 2, n // 2 - m // 2 + m) for n, m in zip(loaded, PATCH, strict=True)
    )
    np.testing.assert_array_equal(large[(slice(None), *middle)], small)


def test_outside_a_scan_is_the_mean_of_the_foreground():
    thin = CASES[0]._replace(
        image=CASES[0].image[:4], label=CASES[0].label[:4], attention=CASES[0].attention[:4]
    )
    cfg = replace(CFG, data=replace(CFG.data, foreground=0.0, informative=False))
    channels = foreground_intensities([CASES[0]], cfg.data.phases, cfg.data.target)
    image = batch_maker([thin._replace(voxels=CASES[0].voxels)], cfg, channels)(0)["image"]
    means = [round(channel.mean) for channel in channels]
    assert (image[:, [0, 1, -2, -1]] == means).all()


def test_intensities_are_those_of_the_target_over_cases():
    for cfg in (CFG, ORGANS):
        target = cfg.data.target
        venous = [case.hu[target][1].astype(np.float32) for case in CASES]
        channels = foreground_intensities(CASES, cfg.data.phases, cfg.data.target)
        assert channels[1] == intensities(venous)


def test_cases_without_the_target_are_left_out():
    blind = CASES[0]._replace(annotated=frozenset({PANCREAS}))
    assert [case.id for case in usable([blind, CASES[1]], CFG)] == ["b"]
    with pytest.raises(InputError, match="nodes"):
        usable([blind], CFG)


def test_a_missing_phase_or_attention_is_refused():
    with pytest.raises(InputError, match="arterial"):
        usable([CASES[0]._replace(phases=("venous",))], CFG)
    without = CASES[0]._replace(attention=None)
    with pytest.raises(InputError, match="attention"):
        usable([without], CFG)
    plain = replace(
        CFG, data=replace(CFG.data, informative=False), model=replace(SHALLOW, attention=False)
    )
    assert "attention" not in maker(plain, usable([without], plain))(0)


def test_a_target_that_no_case_shows_is_refused():
    blind = CASES[0]._replace(
        voxels=CASES[0].voxels | {"nodes": np.empty((0, 4), np.int32)},
        hu=CASES[0].hu | {"nodes": np.empty((2, 0), np.int16)},
    )
    with pytest.raises(InputError, match="nodes"):
        maker(cases=[blind])
    assert NODE in CASES[0].annotated
