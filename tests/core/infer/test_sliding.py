import itertools
from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from scipy import ndimage

from core.infer import sliding
from core.infer.grid import Plan, starts
from core.infer.sliding import predictor

WINDOW, STRIDE = (6, 5, 4), (4, 2, 3)
RAMP = np.linspace(-1, 1, 6 * 5 * 4, dtype=np.float32).reshape(1, 6, 5, 4, 1)
VARIABLES = {"params": {"scale": np.float32([1.5, -2.0, 0.5])}}


def network(variables, windows):
    """Logits that depend on the place in the window, so that overlapping windows disagree."""
    scale = jnp.reshape(variables["params"]["scale"], (1, 1, 1, 1, 3))
    return windows * scale + RAMP * jnp.roll(scale, 1, axis=-1)


def make(apply=network, combine="average", batch=7, **more):
    return predictor(
        apply,
        window=WINDOW,
        stride=STRIDE,
        batch=batch,
        num_classes=3,
        combine=combine,
        **more,
    )


def volume(shape, seed=0):
    return np.random.default_rng(seed).normal(size=(*shape, 1)).astype(np.float32)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def by_hand(image, apply=network):
    """Sums of softmax, votes, and number of windows, one window after the other."""
    shape = image.shape[:3]
    probs, votes, count = np.zeros((*shape, 3)), np.zeros((*shape, 3)), np.zeros((*shape, 1))
    for start in itertools.product(*map(starts, shape, WINDOW, STRIDE)):
        at = tuple(slice(a, a + w) for a, w in zip(start, WINDOW, strict=True))
        p = softmax(np.asarray(apply(VARIABLES, image[at][None]))[0].astype(np.float64))
        probs[at] += p
        votes[at] += np.eye(3)[p.argmax(-1)]
        count[at] += 1
    return probs, votes, count


SHAPES = [(6, 5, 4), (19, 23, 17), (31, 5, 140), (8, 130, 9), (25, 6, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_average_equals_a_loop_over_windows(shape, batch):
    image = volume(shape)
    probs, _, count = by_hand(image)
    result = make(batch=batch)(VARIABLES, image, fill=0)
    assert result.dtype == np.float32
    # Sums of at most 27 float32 terms below 1.
    np.testing.assert_allclose(result, probs / count, atol=2e-6)


def as_nnunet(image, *, mean_of_logits):
    """Evenly spread windows, Gaussian importance and all mirrorings, one after the other."""
    shape = image.shape[:3]
    delta = np.zeros(WINDOW)
    delta[tuple(w // 2 for w in WINDOW)] = 1
    sigmas = [w / 8 for w in WINDOW]
    importance = ndimage.gaussian_filter(delta, sigmas, mode="constant", truncate=9)
    grids = [starts(*n, even=True) for n in zip(shape, WINDOW, STRIDE, strict=True)]
    total, weight = np.zeros((*shape, 3)), np.zeros((*shape, 1))
    for start in itertools.product(*grids):
        at = tuple(slice(a, a + w) for a, w in zip(start, WINDOW, strict=True))
        for axes in ((), (0,), (2,), (0, 2)):
            logits = np.asarray(network(VARIABLES, np.flip(image[at], axes)[None]))[0]
            logits = np.flip(logits, axes).astype(np.float64)
            vote = logits if mean_of_logits else softmax(logits)
            total[at] += vote * importance[..., None]
            weight[at] += importance[..., None]
    return softmax(total / weight) if mean_of_logits else total / weight


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("combine", ["average", "logits"])
def test_gaussian_windows_and_mirrorings_equal_a_loop(shape, combine):
    image = volume(shape)
    predict = make(combine=combine, importance="gaussian", even=True, mirrored=(0, 2))
    found = predict(VARIABLES, image, fill=0)
    expected = as_nnunet(image, mean_of_logits=combine == "logits")
    # At a corner all weights are as small as 3e-8 of the highest, and float32 divides them.
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("combine", ["average", "logits"])
@pytest.mark.parametrize("shape", [(3, 23, 17), (1, 1, 1), (19, 4, 40)])
def test_a_volume_smaller_than_a_window_equals_a_padded_one(combine, shape):
    image, fill = volume(shape), -2.5
    missing = np.maximum(np.subtract(WINDOW, shape), 0)
    before = missing // 2
    widths = [*zip(before, missing - before, strict=True), (0, 0)]
    padded = make(combine=combine)(VARIABLES, np.pad(image, widths, constant_values=fill), fill=9)
    inside = tuple(slice(a, a + n) for a, n in zip(before, shape, strict=True))
    probs = make(combine=combine)(VARIABLES, image, fill=fill)
    np.testing.assert_array_equal(probs, padded[inside])


def test_the_network_is_traced_once_whatever_the_volume():
    traces = []

    def counted(variables, windows):
        traces.append(windows.shape)
        return network(variables, windows)

    predict = make(counted)
    for shape in [*SHAPES, (3, 200, 77)]:
        predict(VARIABLES, volume(shape), fill=0)
    assert traces == [(7, *WINDOW, 1)]


def test_volumes_of_one_bucket_share_every_compilation(caplog):
    predict = make()

    def compiled(*shapes):
        caplog.clear()
        with jax.log_compiles(), caplog.at_level("WARNING"):
            for shape in shapes:
                predict(VARIABLES, volume(shape), fill=0)
        return [r.message for r in caplog.records if r.message.startswith("Compiling")]

    assert compiled((40, 100, 90))
    assert not compiled((41, 100, 90), (33, 80, 127), (60, 90, 70))
    # Another bucket compiles the moves again, the network not.
    assert not [message for message in compiled((33, 80, 129)) if "ask" in message]


def test_variables_are_arguments_not_constants():
    predict = make()
    image = volume((9, 9, 9))
    other = {"params": {"scale": -VARIABLES["params"]["scale"]}}
    assert not np.allclose(predict(VARIABLES, image, fill=0), predict(other, image, fill=0))


def test_eight_devices_equal_one():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    image = volume((19, 23, 17))
    shared = make(batch=16, sharding=NamedSharding(mesh, PartitionSpec("data")))
    alone = make(batch=16)(VARIABLES, image, fill=0)
    # The compiler vectorizes two windows otherwise than sixteen: last bits of values below 1.
    np.testing.assert_allclose(shared(VARIABLES, image, fill=0), alone, atol=1e-6)


def test_memory_on_the_device_stays_below_the_plan(monkeypatch):
    held = []
    pad_chunk = sliding.pad_chunk

    def recorded(*args):
        held.append(sum(array.nbytes for array in jax.live_arrays()))
        return pad_chunk(*args)

    monkeypatch.setattr(sliding, "pad_chunk", recorded)
    already = sum(array.nbytes for array in jax.live_arrays())
    make(batch=64)(VARIABLES, volume((90, 120, 110)), fill=0)
    plan = Plan((90, 120, 110), WINDOW, STRIDE, 64, num_channels=1, num_classes=3)
    assert len(held) > 5
    assert max(held) - already <= plan.device_bytes


def test_an_image_without_channels_is_refused():
    with pytest.raises(ValueError, match="image must have 4 axes"):
        unwrap(make())(VARIABLES, volume((9, 9, 9))[..., 0], fill=0)


def test_a_network_with_other_classes_is_refused():
    with pytest.raises(ValueError, match=r"apply must return logits \(7, 6, 5, 4, 3\); got"):
        make(lambda variables, windows: windows)(VARIABLES, volume((9, 9, 9)), fill=0)


def test_an_unknown_combination_is_refused():
    with pytest.raises(ValueError, match="combine must be one of"):
        unwrap(predictor)(
            network,
            window=WINDOW,
            stride=WINDOW,
            batch=7,
            num_classes=3,
            combine="median",
        )


def test_a_stride_that_leaves_voxels_out_is_refused():
    with pytest.raises(ValueError, match="expected 0 < stride <= window"):
        predictor(
            network,
            window=WINDOW,
            stride=(4, 6, 3),
            batch=1,
            num_classes=3,
            combine="average",
        )


def test_a_batch_that_devices_cannot_share_is_refused():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    with pytest.raises(ValueError, match=r"batch=\(7,\) must be divisible by 8"):
        make(sharding=NamedSharding(mesh, PartitionSpec("data")))


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(40, 36, 32), (20, 50, 33)])
def test_average_equals_monai(shape):
    torch = pytest.importorskip("torch")
    inferers = pytest.importorskip("monai.inferers")
    ramp = np.linspace(-1, 1, 32**3, dtype=np.float32).reshape(32, 32, 32, 1)
    scale = VARIABLES["params"]["scale"]

    def ours(variables, windows):
        return windows * scale[None, None, None, None] + (ramp * scale[::-1])[None]

    def theirs(windows):
        logits = windows * torch.tensor(scale)[None, :, None, None, None]
        added = np.moveaxis(ramp * scale[::-1], -1, 0)[None].copy()
        return torch.softmax(logits + torch.from_numpy(added), dim=1)

    image = volume(shape)
    # An overlap of 22/32 makes the stride 10, exactly.
    expected = inferers.sliding_window_inference(
        torch.from_numpy(image[None, None, ..., 0]), 32, 4, theirs, overlap=22 / 32, cval=-1.0
    )
    predict = predictor(
        ours, window=(32,) * 3, stride=(10,) * 3, batch=4, num_classes=3, combine="average"
    )
    probs = predict(VARIABLES, image, fill=-1.0)
    # Sums of at most 64 float32 terms below 1.
    np.testing.assert_allclose(probs, np.moveaxis(expected[0].numpy(), 0, -1), atol=4e-6)
