import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from core import sharding
from core.errors import InputError
from core.train import state as states
from core.train.step import make_step
from tests.core.train import tiny

pytestmark = pytest.mark.several_devices


def step_on(mesh: jax.sharding.Mesh, rule: sharding.Rule, batch_rule: sharding.Rule):
    """State after three steps of the tiny task."""
    state = states.create(tiny.build(), 0)
    state = jax.device_put(state, rule(state, mesh))
    step = jax.jit(make_step(tiny.build(), 0))
    for _, batch in zip(range(3), tiny.batches(0), strict=False):
        state, metrics = step(state, sharding.shard_batch(batch, mesh, batch_rule))
    return jax.device_get((state, metrics))


@pytest.mark.parametrize(
    ("space", "rule", "batch_rule"),
    [
        (1, sharding.replicated, sharding.split_batch),
        (1, sharding.fsdp, sharding.split_batch),
        (4, sharding.replicated, sharding.spatial),
        (2, sharding.fsdp, sharding.spatial),
    ],
)
def test_eight_devices_equal_one(
    space: int, rule: sharding.Rule, batch_rule: sharding.Rule, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sharding, "MIN_SHARDED_SIZE", 1)
    single = step_on(sharding.mesh(jax.devices()[:1]), sharding.replicated, sharding.split_batch)
    eight = step_on(sharding.mesh(space=space), rule, batch_rule)
    # Sums over devices run in another order: a few float32 roundings.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), single, eight)


def test_mesh_has_all_devices_along_data():
    assert sharding.mesh().shape == {"data": 8}
    assert sharding.mesh(space=2).shape == {"data": 4, "space": 2}
    with pytest.raises(ValueError, match="8 devices cannot be split into groups of space=3"):
        sharding.mesh(space=3)


def test_fsdp_cuts_large_arrays_along_their_largest_axis_that_fits():
    shapes = {
        "large": jax.ShapeDtypeStruct((3, 3, 3, 64, 128), jnp.float32),
        "small": jax.ShapeDtypeStruct((64,), jnp.float32),
        "odd": jax.ShapeDtypeStruct((333, 333), jnp.float32),
        "step": jax.ShapeDtypeStruct((), jnp.int32),
    }
    places = sharding.fsdp(shapes, sharding.mesh())
    specs = {name: place.spec for name, place in places.items()}
    whole = P()
    expected = {"large": P(None, None, None, None, "data"), "small": whole, "odd": whole}
    assert specs == {**expected, "step": whole}


def test_shard_batch_cuts_the_leading_axis():
    batch = sharding.shard_batch({"label": np.arange(16)}, sharding.mesh())
    assert [s.data.tolist() for s in batch["label"].addressable_shards][1] == [2, 3]
    np.testing.assert_array_equal(batch["label"], np.arange(16))


def test_spatial_also_cuts_axis_one_of_images():
    local = {"image": np.zeros((4, 8, 6, 2, 1)), "label": np.zeros((4, 8, 6)), "age": np.zeros(4)}
    local["box"] = np.zeros((4, 3, 2))
    batch = sharding.shard_batch(local, sharding.mesh(space=2), sharding.spatial)
    shapes = {name: a.addressable_shards[0].data.shape for name, a in batch.items()}
    whole = {"age": (1,), "box": (1, 3, 2)}
    assert shapes == {"image": (1, 4, 6, 2, 1), "label": (1, 4, 6), **whole}


@pytest.mark.parametrize(
    ("size", "message"),
    [(6, r"6 \('a': 6 on each of 1 hosts\).* 6 = 0 · 8 \+ 6; try 8"), (20, "= 2 · 8.*16 or 24")],
)
def test_indivisible_batch_is_refused_with_the_arithmetic(size: int, message: str):
    with pytest.raises(ValueError, match=message):
        sharding.shard_batch({"a": np.zeros(size)}, sharding.mesh())


@pytest.mark.parametrize(("batch", "used"), [(16, 8), (12, 6), (2, 2), (7, 7), (1, 1), (9, 3)])
def test_a_batch_runs_on_the_most_devices_that_divide_it_and_says_so(batch, used, caplog):
    mesh = sharding.mesh_of_batch(batch)
    assert mesh.size == used
    said = [f"a batch of {batch} is trained on {used} of 8 devices, which divide it"]
    assert caplog.messages == ([] if used == 8 else said)


@pytest.mark.parametrize(("space", "shape"), [(1, (8,)), (2, (4, 2)), (3, (2, 3)), (8, (1, 8))])
def test_devices_share_images_in_groups_of_a_host(space, shape):
    assert sharding.mesh_of_batch(16, space=space).devices.shape == shape


@pytest.mark.parametrize("space", [0, 9])
def test_groups_that_no_host_has_are_refused(space):
    with pytest.raises(InputError, match=f"--space must be from 1 to the 8 dev.*got {space}"):
        sharding.mesh_of_batch(16, space=space)


def test_the_most_devices_that_divide_some_examples_share_them():
    assert [sharding.num_sharing(num, 8) for num in (16, 12, 7, 1)] == [8, 6, 7, 1]


def test_a_batch_that_the_hosts_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with pytest.raises(InputError, match="a batch of 3 cannot be shared by 2 hosts"):
        sharding.mesh_of_batch(3)
