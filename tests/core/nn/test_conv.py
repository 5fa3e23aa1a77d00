import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.conv import conv, conv_transpose, direct, direct_transpose

# Winograd's F(4, 3) loses about two bits; the rest is the order of float32 sums.
RELATIVE = 1e-5

CONVS = [
    # image, kernel, stride, padding, groups
    ((2, 8, 6, 5, 3), (3, 3, 3, 3, 4), 1, 1, 1),
    ((1, 7, 5, 4, 2), (3, 3, 3, 2, 20), 1, 1, 1),
    ((3, 12, 8, 8, 8), (3, 3, 3, 8, 8), 1, 1, 1),
    ((2, 2, 2, 2, 4), (3, 3, 3, 4, 4), 1, 1, 1),
    ((1, 1, 3, 1, 2), (3, 3, 3, 2, 2), 1, 1, 1),
    ((2, 5, 4, 6, 1), (3, 3, 3, 1, 4), 1, 1, 1),
    ((2, 5, 4, 3, 6), (1, 1, 1, 6, 3), 1, 0, 1),
    ((2, 7, 6, 5, 4), (3, 3, 3, 4, 6), 2, 1, 1),
    ((2, 7, 6, 5, 4), (3, 3, 3, 2, 6), 1, 1, 2),
    ((2, 7, 6, 5, 4), (3, 3, 3, 4, 3), (1, 2, 2), 1, 1),
    ((1, 8, 5, 8, 6), (3, 3, 3, 6, 7), (1, 2, 2), 1, 1),
    ((1, 1, 2, 1, 3), (3, 3, 3, 3, 2), (1, 2, 2), 1, 1),
    ((2, 6, 8, 4, 1), (3, 3, 3, 1, 5), 2, 1, 1),
    ((1, 1, 2, 3, 3), (3, 3, 3, 3, 2), 2, 1, 1),
    ((1, 6, 7, 8, 2), (3, 3, 3, 2, 3), (2, 1, 1), 1, 1),
    ((2, 5, 7, 6, 3), (1, 3, 3, 3, 4), 1, (0, 1, 1), 1),
    ((1, 6, 7, 8, 2), (1, 3, 3, 2, 3), (1, 2, 2), (0, 1, 1), 1),
    ((1, 5, 7, 8, 2), (1, 3, 3, 2, 3), 2, (0, 1, 1), 1),
    ((1, 5, 7, 8, 4), (1, 3, 3, 2, 6), (2, 1, 1), (0, 1, 1), 2),
    ((1, 6, 7, 8, 2), (1, 3, 3, 2, 3), 1, 1, 1),
    ((2, 5, 4, 3, 3), (3, 1, 1, 3, 4), 1, (1, 0, 0), 1),
    ((1, 1, 4, 3, 3), (3, 1, 1, 3, 4), 1, (1, 0, 0), 1),
    ((1, 6, 4, 3, 3), (3, 1, 1, 3, 4), (2, 1, 1), (1, 0, 0), 1),
    ((1, 6, 7, 8, 2), (1, 1, 1, 2, 3), (1, 2, 2), 0, 1),
    ((1, 6, 7, 8, 2), (5, 5, 5, 2, 3), 1, 2, 1),
    ((2, 9, 8, 3), (7, 7, 3, 4), 2, 3, 1),
    ((2, 3, 9, 8, 3), (7, 7, 7, 3, 4), (1, 2, 2), 3, 1),
    ((2, 9, 8, 4), (3, 3, 1, 8), 1, 1, 4),
    ((2, 9, 8, 4), (1, 1, 4, 2), 1, 0, 1),
    ((2, 9, 8, 4), (1, 1, 4, 2), 2, 0, 1),
    ((2, 9, 8, 4), (1, 1, 2, 6), 2, 0, 2),
    ((2, 7, 6, 3), (3, 3, 3, 4), 1, 1, 1),
    ((1, 5, 8, 20), (3, 3, 20, 24), 1, 1, 1),
    ((2, 2, 1, 3), (3, 3, 3, 2), 1, 1, 1),
    ((1, 3, 4, 128), (3, 3, 128, 2), 1, 1, 1),
    ((1, 5, 8, 4), (3, 3, 4, 3), 1, 1, 1),
    ((2, 18, 9, 7), (3, 3, 7, 65), 1, 1, 1),
    ((1, 16, 17, 64), (3, 3, 64, 5), 1, 1, 1),
    ((3, 1, 86, 64), (3, 3, 64, 64), 1, 1, 1),
    ((2, 7, 6, 3), (3, 3, 3, 4), 2, 1, 1),
    ((1, 8, 9, 5), (3, 3, 5, 2), 2, 1, 1),
    ((1, 1, 2, 3), (3, 3, 3, 2), 2, 1, 1),
    ((1, 7, 6, 3), (3, 3, 3, 2), (2, 1), 1, 1),
    ((2, 7, 6, 48), (3, 3, 4, 48), 1, 1, 12),
    ((2, 7, 6, 48), (3, 3, 4, 96), 2, 1, 12),
    ((1, 6, 8, 64), (3, 3, 32, 32), 1, 1, 2),
    ((1, 5, 4, 68), (3, 3, 34, 6), 2, 1, 2),
    ((1, 5, 4, 7), (3, 3, 1, 14), 1, 1, 7),
]
TRANSPOSED = [
    ((2, 3, 5, 2, 4), (4, 4, 4, 4, 3), 2),
    ((1, 1, 1, 1, 2), (4, 4, 4, 2, 2), 2),
    ((2, 4, 3, 2, 3), (2, 2, 2, 3, 5), 2),
    ((1, 2, 3, 2, 3), (3, 3, 3, 3, 2), 3),
    ((1, 3, 2, 4, 2), (3, 3, 3, 2, 2), 2),
    ((1, 3, 2, 4, 2), (1, 2, 2, 2, 3), (1, 2, 2)),
    ((1, 3, 2, 4, 2), (3, 4, 2, 2, 3), (1, 2, 2)),
    ((2, 5, 3, 3), (2, 2, 3, 4), 2),
    ((2, 5, 3, 3), (2, 3, 3, 4), (3, 1)),
    ((2, 5, 3, 3), (3, 3, 3, 5), 2),
    ((1, 1, 4, 7), (3, 3, 7, 1), 2),
    ((2, 4, 3, 5), (3, 3, 5, 67), 2),
    ((1, 2, 1, 3), (3, 3, 3, 64), 2),
    ((2, 5, 3, 3), (3, 3, 3, 4), 3),
    ((2, 5, 3, 3), (4, 4, 3, 4), 2),
]


def normal(seed, shape):
    return jax.random.normal(jax.random.key(seed), shape)


def assert_same_value_and_gradients(ours, reference, image, kernel):
    value, pull_back = jax.vjp(ours, image, kernel)
    expected, pull_back_expected = jax.vjp(reference, image, kernel)
    assert value.shape == expected.shape
    grad = normal(2, expected.shape)
    pairs = zip((value, *pull_back(grad)), (expected, *pull_back_expected(grad)), strict=True)
    for got, wanted in pairs:
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(got, wanted, rtol=0, atol=RELATIVE * np.abs(wanted).max())


@pytest.mark.parametrize(("image", "kernel", "stride", "padding", "groups"), CONVS)
def test_conv_equals_xla_in_value_and_gradients(image, kernel, stride, padding, groups):
    axes = len(image) - 2
    strides = (stride,) * axes if isinstance(stride, int) else stride
    pads = (padding,) * axes if isinstance(padding, int) else padding
    assert_same_value_and_gradients(
        jax.jit(lambda x, k: conv(x, k, stride=stride, padding=padding, groups=groups)),
        jax.jit(lambda x, k: direct(x, k, strides, pads, groups)),
        normal(0, image),
        normal(1, kernel),
    )


@pytest.mark.parametrize(("image", "kernel", "stride"), TRANSPOSED)
def test_transposed_conv_equals_xla_in_value_and_gradients(image, kernel, stride):
    assert_same_value_and_gradients(
        jax.jit(lambda x, k: conv_transpose(x, k, stride=stride)),
        jax.jit(lambda x, k: direct_transpose(x, k, stride)),
        normal(0, image),
        normal(1, kernel),
    )


def test_transposed_conv_is_the_gradient_of_a_strided_conv_with_the_mirrored_kernel():
    kernel, small, large = normal(0, (4, 4, 4, 2, 3)), (1, 2, 3, 4, 2), (1, 4, 6, 8, 3)
    mirrored = jnp.flip(kernel, (0, 1, 2)).swapaxes(3, 4)

    def shrink(x):
        return direct(x, mirrored, (2, 2, 2), (1, 1, 1))

    image = normal(1, small)
    (expected,) = jax.vjp(shrink, jnp.zeros(large))[1](image)
    np.testing.assert_allclose(conv_transpose(image, kernel), expected, atol=1e-5)


def test_conv_in_bfloat16_stays_bfloat16_and_near_float32():
    image, kernel = normal(0, (1, 4, 4, 4, 8)), normal(1, (3, 3, 3, 8, 8))
    half = conv(image.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16), padding=1)
    full = conv(image, kernel, padding=1)
    assert half.dtype == jnp.bfloat16
    # bfloat16 rounds to 2^-8; Winograd's sums and differences lose up to three more bits.
    np.testing.assert_allclose(half.astype(jnp.float32), full, atol=2**-5 * np.abs(full).max())


def test_conv_of_zeros_outside_does_not_read_the_other_end():
    image = jnp.zeros((1, 8, 4, 4, 2)).at[:, 0].set(1).at[:, -1].set(jnp.nan)
    out = conv(image, jnp.ones((3, 3, 3, 2, 2)), padding=1)
    assert np.isfinite(out[:, :4]).all()


def test_conv_refuses_arrays_without_a_batch_axis():
    with pytest.raises(ValueError, match="image must have 4 or 5 axes"):
        conv(jnp.zeros((4, 4, 1)), jnp.zeros((3, 3, 1, 1)), padding=1)


def test_conv_refuses_a_kernel_of_another_rank():
    with pytest.raises(ValueError, match="kernel must have 5 axes"):
        conv(jnp.zeros((1, 4, 4, 4, 1)), jnp.zeros((3, 3, 1, 1)), padding=1)


@pytest.mark.parity
@pytest.mark.parametrize(
    ("image", "kernel", "stride", "padding"),
    [
        ((2, 5, 8, 6, 3), (3, 3, 3, 3, 4), (1, 2, 2), 1),
        ((2, 5, 8, 6, 3), (3, 3, 3, 3, 4), 2, 1),
        ((2, 5, 8, 6, 3), (1, 3, 3, 3, 4), (1, 2, 2), (0, 1, 1)),
        ((2, 5, 8, 6, 3), (3, 1, 1, 3, 4), 1, (1, 0, 0)),
    ],
)
def test_strides_and_kernels_of_nnu_net_equal_pytorch(image, kernel, stride, padding):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    x, k = np.asarray(normal(0, image)), np.asarray(normal(1, kernel))
    peer = torch.nn.functional.conv3d(
        torch.tensor(x).movedim(-1, 1),
        torch.tensor(k).permute(4, 3, 0, 1, 2),
        None,
        stride,
        padding,
    )
    ours = conv(x, k, stride=stride, padding=padding)
    np.testing.assert_allclose(ours, peer.movedim(1, -1), atol=1e-5 * float(peer.abs().max()))


@pytest.mark.parity
@pytest.mark.parametrize("size", [(1, 2, 2), (2, 2, 2)])
def test_blocks_of_nnu_net_equal_pytorch(size):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")
    x, k = np.asarray(normal(0, (2, 3, 4, 2, 5))), np.asarray(normal(1, (*size, 5, 3)))
    weight = torch.tensor(np.flip(k, (0, 1, 2)).copy()).permute(3, 4, 0, 1, 2)
    peer = torch.nn.functional.conv_transpose3d(torch.tensor(x).movedim(-1, 1), weight, stride=size)
    ours = conv_transpose(x, k, stride=size)
    np.testing.assert_allclose(ours, peer.movedim(1, -1), atol=1e-5 * float(peer.abs().max()))
