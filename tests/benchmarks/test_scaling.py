import math

import numpy as np
import pytest

from benchmarks import scaling
from tests.benchmarks.test_step import SUBJECT
from tests.devices import compiled_anew


@pytest.mark.usefixtures("all_devices")
def test_devices_end_alike_and_sum_the_gradient():
    with compiled_anew():
        one, two = scaling.on_devices(SUBJECT, (1, 2, 1024), repeats=1)
    assert one["name"] == "conv training step on 1 device"
    assert two["name"] == "conv training step on 2 devices"
    assert one["equal"]
    assert two["equal"]
    kernel = math.prod((3, 3, 3, 4))
    # The gradient, and the loss that is told.
    assert two["collective_bytes"] == 4 * (kernel + 1)
    assert two["collectives"] >= 1
    assert one["collectives"] == one["collective_bytes"] == one["collectives_s"] == 0


def test_parameters_that_differ_are_told():
    assert scaling._equal({"a": np.ones(3)}, {"a": np.ones(3)})
    assert not scaling._equal({"a": np.ones(3)}, {"a": np.full(3, 1.01)})


def test_collectives_are_counted_with_their_bytes():
    program = """
      %a = f32[2,3]{1,0} all-reduce(%x), replica_groups={}
      %b = (f32[5]{0}, f32[]) all-reduce-start(%y, %z), replica_groups={}
      %c = (f32[5]{0}, f32[]) all-reduce-done(%b)
      ROOT %d = f32[7] add(%a, %all-reduce.3)
    """
    assert scaling.collectives(program) == [4 * 6, 4 * (5 + 1)]
