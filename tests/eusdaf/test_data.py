"""Batches of prepared pictures: every picture once a pass, and the step decides alone."""

import numpy as np
import pytest

from core.errors import InputError
from eusdaf.data import Prepared, batch_maker

NUM, BATCH = 10, 4


def picture(number: int) -> Prepared:
    """A picture that is all its number, with a mask that is its number too."""
    pixels = np.full((3, 3), number, np.uint8)
    name = f"p{number}"
    return Prepared(name, name, name, pixels, pixels, has_lesion=True)


@pytest.fixture(scope="module")
def cases() -> list[Prepared]:
    return [picture(number) for number in range(NUM)]


def drawn(make, steps) -> list[int]:
    return [int(image[0, 0]) for step in steps for image in make(step)["image"]]


def test_a_batch_has_the_pictures_with_their_masks(cases):
    batch = batch_maker(cases, BATCH, 0)(0)
    assert {name: (a.shape, a.dtype) for name, a in batch.items()} == {
        name: ((BATCH, 3, 3), np.uint8) for name in ("image", "mask")
    }
    np.testing.assert_array_equal(batch["image"], batch["mask"])


def test_a_batch_depends_on_seed_and_step_alone(cases):
    first, again = batch_maker(cases, BATCH, 3), batch_maker(cases, BATCH, 3)
    again(9), again(0)  # what was drawn before must not matter
    assert drawn(first, [5]) == drawn(again, [5])
    assert drawn(first, range(5)) != drawn(batch_maker(cases, BATCH, 4), range(5))


def test_every_pass_holds_every_picture_once_in_its_own_order(cases):
    # Two passes are 20 pictures, five batches: the third holds the end of one and begins the next.
    order = drawn(batch_maker(cases, BATCH, 0), range(5))
    assert sorted(order[:NUM]) == sorted(order[NUM:]) == list(range(NUM))
    assert order[:NUM] != order[NUM:]


def test_a_batch_larger_than_the_data_set_is_full(cases):
    order = drawn(batch_maker(cases[:3], 8, 0), [0])
    assert sorted(order[:3]) == sorted(order[3:6]) == [0, 1, 2]
    assert len(order) == 8


def test_the_parts_of_all_hosts_are_the_batch_of_one(cases):
    parts = [batch_maker(cases, BATCH, 0, host=host, num_hosts=2)(2) for host in range(2)]
    whole = batch_maker(cases, BATCH, 0)(2)
    np.testing.assert_array_equal(np.concatenate([p["image"] for p in parts]), whole["image"])


def test_no_picture_and_a_batch_that_hosts_cannot_share_are_refused(cases):
    with pytest.raises(InputError, match=r"no training picture; look at data\.lesions_only"):
        batch_maker([], BATCH, 0)
    with pytest.raises(ValueError, match="must be divisible by 3"):
        batch_maker(cases, BATCH, 0, num_hosts=3)
