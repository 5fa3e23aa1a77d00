import jax
import pytest

from benchmarks import compile_for
from lnmet.config import RECIPES
from lnmet.segmentation_train import build
from tests.lnmet.phantoms import prepared


@pytest.mark.parametrize("name", ["tiny-nodes", "tiny-organs"])
def test_batches_have_the_shapes_of_those_that_are_loaded(name):
    cfg = RECIPES[name]
    loaded = next(iter(build(cfg, [prepared("a"), prepared("b", seed=1)]).batches(0)))
    shapes = {key: (array.shape, array.dtype) for key, array in loaded.items()}
    expected = {key: (s.shape, s.dtype) for key, s in compile_for.batch_of(cfg).items()}
    assert shapes == expected


def test_the_step_is_lowered_for_a_batch_over_devices():
    devices = jax.devices()[:2]
    lowered = compile_for.lower_step(RECIPES["tiny-nodes"], devices)
    (state, batch), _ = lowered.args_info
    assert batch["image"].shape[0] == RECIPES["tiny-nodes"].data.batch
    assert state.params["heads"]["head0"]["kernel"].shape[-1] == 2


def test_what_costs_most_is_counted():
    program = """
      %a = f32[2] custom-call(%x), custom_call_target="__cudnn$convForward"
      %b = f32[2] custom-call(%x), custom_call_target="__cudnn$convForward"
      %c = f32[2] gather(%x)
    """
    assert compile_for.kernels(program) == {"__cudnn$convForward": 2, "gather": 1}
