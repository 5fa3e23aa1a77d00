"""Batches of pictures: each of every patient once a pass, and nothing but seed and step."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InputError
from lnmet.status.data import (
    Example,
    batch_maker,
    inputs_of,
    num_inputs,
    scan_of,
    usable,
)
from tests.lnmet.status.phantoms import case_of, cases_of, tiny_status

PHASES = ("arterial", "venous")
CFG = tiny_status()
BOXES = tiny_status("tiny-status-resnet3d")
EXAMPLES = [
    Example(case, bool(case.status), 100.0 * number)
    for number, case in enumerate(cases_of("+-+-"), start=1)
]


@pytest.mark.parametrize("cfg", [CFG, BOXES])
def test_a_batch_is_a_pure_function_of_seed_and_step(cfg):
    cfg = replace(cfg, data=replace(cfg.data, batch=2))
    first, again = (batch_maker(EXAMPLES, cfg)(3) for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    other = replace(cfg, run=replace(cfg.run, seed=1))
    differing = [
        any((batch_maker(EXAMPLES, c)(step)["image"] != first["image"]).any() for step in steps)
        for c, steps in ((other, (3,)), (cfg, (0, 1, 2)))
    ]
    assert all(differing)


def test_hosts_share_a_batch():
    whole = batch_maker(EXAMPLES, CFG)(5)
    parts = [batch_maker(EXAMPLES, CFG, host=host, num_hosts=2)(5) for host in range(2)]
    for name, array in whole.items():
        np.testing.assert_array_equal(array, np.concatenate([part[name] for part in parts]))


def test_every_picture_comes_once_in_a_pass_with_what_is_true_of_its_patient():
    make, num = batch_maker(EXAMPLES, CFG), num_inputs(CFG)
    assert num == 9
    known = {
        one["image"][i].tobytes(): (example.is_positive, example.volume_mm3)
        for example in EXAMPLES
        for one in [inputs_of(scan_of(example.case), CFG)]
        for i in range(num)
    }
    drawn: Counter[bytes] = Counter()
    for step in range(2 * len(EXAMPLES) * num // CFG.data.batch):  # two passes
        batch = make(step)
        for image, status, volume in zip(
            batch["image"], batch["status"], batch["volume_mm3"], strict=True
        ):
            assert known[image.tobytes()] == (status == 1, volume)
            drawn[image.tobytes()] += 1
    assert set(drawn.values()) == {2}
    assert drawn.keys() == known.keys()


def test_shapes_and_types_of_a_batch():
    for cfg, shape in ((CFG, (16, 16)), (BOXES, (4, 16, 16))):
        batch = batch_maker(EXAMPLES, cfg)(0)
        n = cfg.data.batch
        assert {name: (a.shape, a.dtype.name) for name, a in batch.items()} == {
            "image": ((n, *shape, 2), "int16"),
            "mask": ((n, *shape), "uint8"),
            "volume_mm3": ((n,), "float32"),
            "status": ((n,), "uint8"),
        }


def test_fewer_slices_are_fewer_pictures():
    cfg = replace(CFG, data=replace(CFG.data, slices=1))
    few, all_ = inputs_of(scan_of(EXAMPLES[0].case), cfg), inputs_of(scan_of(EXAMPLES[0].case), CFG)
    np.testing.assert_array_equal(few["image"], all_["image"][::3])
    with pytest.raises(ValueError, match="slices"):
        replace(CFG.data, slices=4)


def test_phases_are_the_channels_that_are_asked_for():
    venous = replace(CFG, data=replace(CFG.data, phases=("venous",), channels="venous"))
    one, both = (inputs_of(scan_of(EXAMPLES[0].case), cfg)["image"] for cfg in (venous, CFG))
    np.testing.assert_array_equal(one[..., 0], both[..., 1])


def test_cases_that_lack_something_are_left_out_and_named(caplog):
    cases = [*cases_of("+-"), case_of("blind", status=True)._replace(tumor=None)]
    cases += [case_of("untold"), case_of("lone", status=True)._replace(phases=("venous",))]
    assert [case.id for case in usable(cases, PHASES)] == ["0", "1"]
    told = " ".join(record.getMessage() for record in caplog.records)
    assert all(name in told for name in ("blind", "untold", "lone", "mask", "status", "arterial"))


@pytest.mark.parametrize(
    ("lacking", "word", "hint"),
    [
        ({"tumor": None}, "tumor", "--pdac"),
        ({"status": None}, "status", "--status"),
        ({"phases": ("venous",)}, "arterial", "--data.phases venous"),
    ],
)
def test_what_all_cases_lack_is_refused(lacking, word, hint):
    cases = [case._replace(**lacking) for case in cases_of("+-")]
    with pytest.raises(InputError, match=word) as refusal:
        usable(cases, PHASES)
    assert hint in refusal.value.hint


def test_one_status_alone_is_refused():
    with pytest.raises(InputError, match="all 2 cases are positive"):
        usable(cases_of("++"), PHASES)


def test_a_case_without_a_tumor_makes_no_picture():
    with pytest.raises(ValueError, match="no tumor"):
        scan_of(case_of("a")._replace(tumor=None))
