"""Exported programs of whole volumes: the answer is that of the predictor, whatever the size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from core.infer import grid
from core.infer.export import PLATFORMS, lowered
from core.infer.sliding import predictor
from core.infer.volume_program import LARGEST, Places, sliding_program, voting_program
from core.infer.voting import voter
from core.nn.conv import conv

RNG = np.random.default_rng(0)
VARIABLES = {"kernel": RNG.standard_normal((3, 3, 3, 2, 3)).astype(np.float32)}
WINDOW, STRIDE, FILL = (8, 6, 4), (4, 3, 3), [1.5, -2.0]
SHAPES = [(11, 13, 9), (8, 6, 4), (5, 20, 3)]
"""Larger than a window, as large, and smaller along two axes."""


def apply(variables, windows):
    return conv(windows, jnp.asarray(variables["kernel"]), padding=1)


WINDOWS = {"apply": apply, "window": WINDOW, "num_classes": 3}


def volume(shape) -> np.ndarray:
    return RNG.standard_normal((*shape, 2)).astype(np.float32)


def asked(program, image) -> np.ndarray:
    """What a program answers that was written and read again."""
    weights, exported = lowered(program)
    read = export.deserialize(exported.serialize())
    assert read.platforms == PLATFORMS
    return np.asarray(jax.jit(read.call)(weights, image))


@pytest.fixture(scope="module", params=[(False, "uniform", ()), (True, "gaussian", (0, 2))])
def sliding(request):
    """A program, and the predictor that it repeats: as S4C has it, and as LNMet has it."""
    even, importance, mirrored = request.param
    windows = {**WINDOWS, "combine": "average", "importance": importance}
    places = {"stride": STRIDE, "batch": 4, "even": even, "mirrored": mirrored}
    program = sliding_program(VARIABLES, fill=FILL, **places, **windows)
    return program, predictor(**places, **windows)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_sliding_program_answers_as_the_predictor(sliding, shape):
    program, predict = sliding
    image = volume(shape)
    # Channel by channel: a predictor pads all of them with one value.
    padded = [grid_padded(image[..., c], FILL[c]) for c in range(2)]
    expected = inside(predict(VARIABLES, np.stack(padded, -1), fill=0.0), shape)
    # Sums of another order in float32.
    np.testing.assert_allclose(asked(program, image), expected, rtol=1e-5, atol=1e-6)


def grid_padded(channel: np.ndarray, fill: float) -> np.ndarray:
    missing = [max(0, w - n) for w, n in zip(WINDOW, channel.shape, strict=True)]
    return np.pad(channel, [(m // 2, m - m // 2) for m in missing], constant_values=fill)


def inside(probs: np.ndarray, shape) -> np.ndarray:
    before = [max(0, w - n) // 2 for w, n in zip(WINDOW, shape, strict=True)]
    return probs[tuple(slice(a, a + n) for a, n in zip(before, shape, strict=True))]


@pytest.mark.parametrize("shape", SHAPES)
def test_votes_of_a_program_are_those_of_the_voter(shape):
    windows = {**WINDOWS, "apply": lambda v, x: apply(v, jnp.repeat(x, 2, -1))}
    program = voting_program(VARIABLES, stride=STRIDE, batch=4, fill=0.5, **windows)
    vote = voter(stride=STRIDE, batch=4, **windows)
    image = volume(shape)[..., :1]
    votes = asked(program, image)
    assert votes.dtype == np.int32
    np.testing.assert_array_equal(votes.argmax(-1), vote(VARIABLES, image, fill=0.5).label)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("window", "stride"), [(16, 5), (64, 20), (48, 24), (7, 7)])
def test_windows_lie_where_the_grid_has_them_at_every_size(window, stride, even):
    places = Places(window, stride, even)
    for size in [*range(window, window + 200), LARGEST]:
        expected = grid.starts(size, window, stride, even=even)
        assert places.num(size) == len(expected)
        np.testing.assert_array_equal(places.starts(size)[: len(expected)], expected)


@pytest.mark.parametrize("importance", ["uniform", "gaussian"])
def test_covers_are_those_of_the_grid(importance):
    places = Places(48, 24, True, importance)
    expected = grid.cover(131, 48, 24, even=True, importance=importance)
    np.testing.assert_array_equal(places.cover(131), expected)


def test_a_volume_beyond_the_largest_size_is_refused():
    windows = {**WINDOWS, "combine": "average"}
    program = sliding_program(VARIABLES, stride=STRIDE, batch=1, fill=FILL, **windows)
    weights, exported = lowered(program)
    image = jax.ShapeDtypeStruct((LARGEST + 1, 8, 8, 2), jnp.float32)
    with pytest.raises(ValueError, match=f"d <= {LARGEST}|{LARGEST} - d"):
        jax.eval_shape(exported.call, weights, image)
