"""Which slices a task learns from, what is true of them, and in which batch they come."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from core.data.epochs import batch_maker
from core.errors import InputError
from core.random import rng
from fee.config import Config, DataConfig
from fee.data import PreparedSeries, batch_of, examples
from fee.recipes import RECIPES
from fee.train import build

SIZE = 32


def prepared(
    id_: str, *, tumor: bool | None, has_mask: bool = True, num_slices: int = 6
) -> PreparedSeries:
    """Pancreas in slices 1 … 4 and, where there is a tumor, some of it in slices 2 and 3."""
    numbers = np.arange(num_slices, dtype=np.uint8)
    ramp = np.arange(SIZE, dtype=np.uint8) * np.uint8(7)
    image = np.broadcast_to(ramp, (num_slices, SIZE, SIZE)) + numbers[:, None, None] + np.uint8(1)
    mask = np.zeros_like(image)
    mask[1:5, 8:24, 8:24] = 1
    if tumor:
        mask[2:4, 12:16, 12:16] = 2
    return PreparedSeries(
        id=id_,
        patient=id_[0],
        digest=f"digest of {id_}",
        phase="venous",
        tumor=tumor,
        tumor_type="",
        image=image,
        mask=mask if has_mask else None,
        pancreas_slices=(1, 2, 3, 4) if has_mask else (),
        tumor_slices=(2, 3) if tumor and has_mask else (),
    )


def config(task: str, batch: int = 4, **data) -> Config:
    cfg = RECIPES[task]
    return replace(cfg, data=replace(cfg.data, batch=batch, **data))


SICK, WELL, UNKNOWN = (
    prepared("s", tumor=True),
    prepared("w", tumor=False),
    prepared("u", tumor=None),
)


def labels(cfg: Config, *cases: PreparedSeries) -> dict[str, bool]:
    return {example.name: example.label for example in examples(cases, cfg)}


def test_all_slices_tell_where_the_pancreas_is():
    truths = labels(config("locate"), SICK)
    assert truths == {f"s:{d}": 1 <= d <= 4 for d in range(6)}


def test_the_pancreas_is_outlined_in_slices_that_show_it():
    assert list(labels(config("segment"), WELL)) == [f"w:{d}" for d in range(1, 5)]
    assert len(labels(config("segment", slices="all"), WELL)) == 6


def test_a_slice_counts_as_its_patient():
    truths = labels(config("diagnose"), SICK, WELL, UNKNOWN)
    assert truths == {f"{p}:{d}": p == "s" for p in "sw" for d in range(1, 5)}


def test_a_slice_counts_as_what_it_shows_if_the_recipe_says_so():
    cfg = config("diagnose", tumor_slices="visible")
    assert labels(cfg, SICK) == {"s:1": False, "s:2": True, "s:3": True, "s:4": False}
    # Where no tumor is drawn, the patient's word stands.
    undrawn = SICK._replace(tumor_slices=())
    assert set(labels(cfg, undrawn).values()) == {True}


@pytest.mark.parametrize("task", ["locate", "segment", "diagnose"])
def test_a_series_without_a_mask_is_not_learned_from(task):
    assert examples([prepared("s", tumor=True, has_mask=False)], config(task)) == []


def test_slices_of_one_class_are_worth_a_warning(caplog):
    examples([WELL], config("diagnose"))
    assert "all 4 slices are of one class: nothing can be learned" in caplog.text


def test_a_batch_holds_what_its_task_needs():
    keys = {"locate": {"label"}, "segment": {"mask"}, "diagnose": {"mask", "label"}}
    for task, more in keys.items():
        cfg = config(task)
        batch = batch_of(examples([SICK, WELL], cfg)[:3], cfg)
        assert set(batch) == {"image"} | more
        assert all(array.dtype == np.uint8 and len(array) == 3 for array in batch.values())
    # Tumor is pancreas.
    assert batch["mask"].max() == 1
    np.testing.assert_array_equal(batch["mask"][1], SICK.mask[2] > 0)
    np.testing.assert_array_equal(batch["image"][1], SICK.image[2])


def batches(slices, cfg: Config, **hosts):
    generator, collate = partial(rng, cfg.run.seed), partial(batch_of, cfg=cfg)
    return batch_maker(slices, collate, cfg.data.batch, generator, **hosts)


def test_a_pass_sees_every_slice_once_and_a_batch_depends_on_its_step_alone():
    cfg = config("locate")
    slices = examples([SICK, WELL], cfg)
    make = batches(slices, cfg)
    grays = np.concatenate([make(step)["image"][:, 0, 0] for step in range(3)])
    assert sorted(grays) == sorted([*range(1, 7)] * 2)
    again = batches(slices, cfg)(2)
    np.testing.assert_array_equal(again["image"], make(2)["image"])
    other = batches(slices, replace(cfg, run=replace(cfg.run, seed=1)))
    assert any((other(s)["image"] != make(s)["image"]).any() for s in range(3))


def test_hosts_share_a_batch():
    cfg = config("segment")
    slices = examples([SICK, WELL], cfg)
    halves = [batches(slices, cfg, host=host, num_hosts=2)(1)["image"] for host in range(2)]
    np.testing.assert_array_equal(np.concatenate(halves), batches(slices, cfg)(1)["image"])
    with pytest.raises(ValueError, match=r"batch=\(4,\) must be divisible by 3 \(hosts"):
        batches(slices, cfg, num_hosts=3)


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(InputError, match="no slice to train segment on; series with a mask"):
        build(config("segment"), [])


def test_a_recipe_of_the_paper_sees_only_slices_with_pancreas():
    assert [RECIPES[t].data for t in ("segment", "diagnose")] == [
        DataConfig(2, "pancreas"),
        DataConfig(32, "pancreas"),
    ]
