import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lnmet.model.texture import HEADS, Encoding, Texture, encode, unit_length


def arrays(n=2, i=9, k=5, d=7):
    x, codewords = (
        jax.random.normal(jax.random.key(s), (*n, d)) for s, n in enumerate([(n, i), (k,)])
    )
    return x, codewords, -jax.random.uniform(jax.random.key(2), (k,))


def by_definition(x, codewords, smoothing):
    """The equations with all n × i × k × d differences, in float64."""
    x, codewords, smoothing = (np.asarray(a, np.float64) for a in (x, codewords, smoothing))
    differences = x[:, :, None] - codewords[None, None]
    weights = np.exp(smoothing[None, None] * (differences**2).sum(-1))
    shares = weights / weights.sum(-1, keepdims=True)
    return (shares[..., None] * differences).sum(1)


def test_the_encoding_is_the_sum_of_weighted_differences():
    # Float32 sums of 7 products and of 9 places.
    np.testing.assert_allclose(encode(*arrays()), by_definition(*arrays()), atol=1e-5)


def test_its_gradients_are_those_of_the_definition():
    def naive(x, codewords, smoothing):
        differences = x[:, :, None] - codewords[None, None]
        shares = jax.nn.softmax(smoothing[None, None] * jnp.square(differences).sum(-1), axis=-1)
        return jnp.einsum("nik,nikd->nkd", shares, differences)

    def pulled(function):
        return jax.jit(jax.grad(lambda *a: jnp.sin(function(*a)).sum(), (0, 1, 2)))(*arrays())

    for ours, expected in zip(pulled(encode), pulled(naive), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


def test_places_may_change_their_order():
    x, *others = arrays()
    order = np.random.default_rng(0).permutation(x.shape[1])
    np.testing.assert_allclose(encode(x[:, order], *others), encode(x, *others), atol=1e-5)


def test_a_shift_of_descriptors_and_codewords_changes_nothing():
    x, codewords, smoothing = arrays()
    moved = encode(x + 3, codewords + 3, smoothing)
    np.testing.assert_allclose(moved, encode(x, codewords, smoothing), atol=1e-4)  # squares of 3


@pytest.mark.parametrize("at", ["codeword", "zeros"])
def test_value_and_gradients_are_finite(at):
    x, codewords, smoothing = arrays(i=5)
    x = jnp.broadcast_to(codewords, x.shape) if at == "codeword" else jnp.zeros_like(x)
    run = jax.value_and_grad(lambda *a: unit_length(encode(*a).reshape(2, -1)).sum(), (0, 1, 2))
    value, grads = jax.jit(run)(x, codewords, smoothing)
    assert all(np.isfinite(a).all() for a in (value, *grads))


def test_a_vector_becomes_one_of_length_one_and_zero_stays():
    x = jnp.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(unit_length(x), [[0.6, 0.8], [0.0, 0.0]], rtol=1e-6)
    assert np.isfinite(jax.grad(lambda x: unit_length(x).sum())(x)).all()


@pytest.mark.parametrize(
    ("kind", "descriptors", "codewords"),
    [
        ("example", 64, 8),
        ("deepten", 128, 32),
        ("dep", 24, 8),
    ],
)
def test_heads_encode_their_descriptors_with_their_codewords(kind, descriptors, codewords):
    features = jax.random.normal(jax.random.key(0), (3, 4, 5, 24))
    head = Texture(kind)
    texture, variables = jax.jit(lambda k: head.init_with_output(k, features, train=True))(
        jax.random.key(1)
    )
    assert texture.shape == (3, descriptors * codewords)
    np.testing.assert_allclose(np.linalg.norm(texture, axis=1), 1, rtol=1e-5)
    params = variables["params"]
    assert params["encoding"]["codewords"].shape == (codewords, descriptors)
    assert ("norm" in params) == (HEADS[kind].descriptors is None)


def test_codewords_and_smoothings_start_in_their_ranges():
    params = Encoding(32).init(jax.random.key(0), jnp.zeros((1, 4, 128)))["params"]
    bound = (32 * 128) ** -0.5
    codewords, smoothing = params["codewords"], params["smoothing"]
    assert 0.99 * bound < np.abs(codewords).max() <= bound
    # 32 draws: the extremes lie within 0.3 of the ends but once in 90,000.
    assert -1 <= smoothing.min() < -0.7
    assert -0.3 < smoothing.max() <= 0
