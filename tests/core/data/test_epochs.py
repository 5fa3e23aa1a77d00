from collections import Counter
from functools import partial

import cloudpickle
import pytest

from core.data.epochs import batch_maker, numbers_of_host, shuffled
from core.random import rng

NUM, BATCH = 10, 4


def batches(examples=range(NUM), batch=BATCH, seed=0, **hosts):
    """Batches of numbers."""
    return batch_maker(examples, tuple, batch, partial(rng, seed), **hosts)


def drawn(make, steps):
    return [number for step in steps for number in make(step)]


def test_every_pass_holds_every_example_once_in_an_order_of_its_own():
    draw = shuffled(7, partial(rng, 0))
    passes = [[draw(7 * k + i) for i in range(7)] for k in range(5)]
    assert all(sorted(epoch) == list(range(7)) for epoch in passes)
    # Five orders of 5,040 are all different but once in 500.
    assert len(set(map(tuple, passes))) == 5


def test_a_draw_depends_on_its_number_alone():
    forward, backward = shuffled(5, partial(rng, 3)), shuffled(5, partial(rng, 3))
    numbers = range(40)
    assert [forward(n) for n in numbers] == [backward(n) for n in reversed(numbers)][::-1]


def test_batches_that_straddle_passes_see_every_example_equally_often():
    draw = shuffled(10, partial(rng, 0))
    assert set(Counter(draw(n) for n in range(30 * 10)).values()) == {30}


def test_worker_processes_draw_the_same():
    draw = shuffled(5, partial(rng, 3))
    there = cloudpickle.loads(cloudpickle.dumps(draw))
    assert [there(n) for n in range(20)] == [draw(n) for n in range(20)]


def test_no_example_is_refused():
    with pytest.raises(ValueError, match="num_examples must be positive; got 0"):
        shuffled(0, partial(rng, 0))


def test_a_batch_holds_what_the_paper_makes_of_its_examples():
    make = batch_maker("abc", "".join, 6, partial(rng, 0))
    assert Counter(make(0)) == {"a": 2, "b": 2, "c": 2}


def test_a_batch_depends_on_seed_and_step_alone():
    first, again = batches(seed=3), batches(seed=3)
    again(9), again(0)  # what was drawn before must not matter
    assert first(5) == again(5)
    assert drawn(first, range(5)) != drawn(batches(seed=4), range(5))


def test_every_pass_of_batches_holds_every_example_once_in_its_own_order():
    # Two passes are 20 examples, five batches: the third ends one and begins the next.
    order = drawn(batches(), range(5))
    assert sorted(order[:NUM]) == sorted(order[NUM:]) == list(range(NUM))
    assert order[:NUM] != order[NUM:]


def test_a_batch_larger_than_the_data_set_is_full():
    order = batches(range(3), 8)(0)
    assert sorted(order[:3]) == sorted(order[3:6]) == [0, 1, 2]
    assert len(order) == 8


def test_the_parts_of_all_hosts_are_the_batch_of_one():
    parts = [batches(host=host, num_hosts=2)(2) for host in range(2)]
    assert parts[0] + parts[1] == batches()(2)


def test_numbers_of_the_hosts_follow_each_other():
    hosts = [numbers_of_host(6, host, 3) for host in range(3)]
    assert [list(numbers(2)) for numbers in hosts] == [[12, 13], [14, 15], [16, 17]]


def test_a_batch_that_hosts_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"batch=\(4,\) must be divisible by 3 \(hosts"):
        batches(num_hosts=3)
