import jax
import numpy as np

from core.random import step_key
from core.train import state as states
from core.train.step import lower_step, make_step
from tests.core.train import tiny


def first_step():
    state = states.create(tiny.build(), 3)
    batch = next(tiny.batches(0))
    return state, batch, make_step(tiny.build(), 3)(state, batch)


def test_step_counts_and_reports_loss_gradient_norm_and_the_task_s_metrics():
    state, batch, (after, metrics) = first_step()
    assert (int(state.step), int(after.step)) == (0, 1)
    assert set(metrics) == {"loss", "grad_norm", "accuracy"}
    inputs = (state.params, state.model_state, batch, step_key(3, 0))
    grads, _ = jax.grad(tiny.loss, has_aux=True)(*inputs)
    squares = sum(float((g**2).sum()) for g in jax.tree.leaves(grads))
    np.testing.assert_allclose(metrics["grad_norm"], squares**0.5, rtol=1e-5)  # float32 sums


def test_every_step_has_its_own_key():
    state, batch, (_, first) = first_step()
    _, later = make_step(tiny.build(), 3)(state._replace(step=state.step + 1), batch)
    assert float(first["loss"]) != float(later["loss"])


def test_state_keeps_its_types_so_that_one_program_serves_every_step():
    state, _, (after, _) = first_step()
    for before, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (before.dtype, before.weak_type) == (now.dtype, now.weak_type)


def test_state_is_a_function_of_the_seed():
    same, other = states.create(tiny.build(), 3), states.create(tiny.build(), 4)
    jax.tree.map(np.testing.assert_array_equal, same, first_step()[0])
    assert not np.array_equal(same.params["conv"], other.params["conv"])


def test_a_step_is_lowered_from_shapes_as_from_arrays():
    state, batch, _ = first_step()
    place = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    arrays = jax.device_put((state, dict(batch)), place)
    shapes = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), (state, dict(batch))
    )
    of_arrays, of_shapes = (lower_step(tiny.build(), 3, *both) for both in (arrays, shapes))
    assert of_arrays.as_text() == of_shapes.as_text()
