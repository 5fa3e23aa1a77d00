from collections import Counter
from functools import partial

import cloudpickle
import pytest

from core.data.epochs import shuffled
from core.random import rng


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
