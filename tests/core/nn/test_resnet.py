import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn.resnet import Classifier, ResNet

RESNEXT101 = {"block": "bottleneck", "blocks": (3, 4, 23, 3), "groups": 32}
NETWORKS = {
    "ResNet-18": ResNet("basic", (2, 2, 2, 2)),
    "ResNet-34": ResNet("basic", (3, 4, 6, 3)),
    "32x4d": ResNet(**RESNEXT101, group_width=4),
    "32x8d": ResNet(**RESNEXT101, group_width=8),
}
TINY = ResNet("bottleneck", (1, 2), width=4, groups=2, group_width=2)


def num_scalars(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def shapes(network, channels=3):
    image = jax.ShapeDtypeStruct((1, 64, 64, channels), jnp.float32)
    return jax.eval_shape(lambda k, x: network.init(k, x, train=True), jax.random.key(0), image)


# Counts of the published networks: 7·7·3·64 = 9,408 and 2·64 = 128 in the stem, and so on.
@pytest.mark.parametrize(
    ("name", "trunk", "buffers", "stages"),
    [
        ("ResNet-18", 11_176_512, 9_600, (147_968, 525_568, 2_099_712, 8_393_728)),
        ("ResNet-34", 21_284_672, 17_024, (221_952, 1_116_416, 6_822_400, 13_114_368)),
        ("32x4d", 42_128_704, 137_856, (205_824, 1_197_056, 26_171_392, 14_544_896)),
        ("32x8d", 86_742_336, 202_880, (420_864, 2_405_376, 55_160_832, 28_745_728)),
    ],
)
def test_parameter_counts_are_the_published_ones(name, trunk, buffers, stages):
    variables = shapes(NETWORKS[name])
    params = variables["params"]
    assert num_scalars(params["stem"]["conv"]) == 9_408
    assert num_scalars(params["stem"]["norm"]) == 128
    for number, count in enumerate(stages, start=1):
        stage = {k: v for k, v in params.items() if k.startswith(f"layer{number}_")}
        assert num_scalars(stage) == count
    assert num_scalars(params) == trunk
    assert num_scalars(variables["batch_stats"]) == buffers


@pytest.mark.parametrize(
    ("name", "stage", "first", "projection", "others"),
    [
        ("ResNet-18", 1, 73_984, 0, 73_984),
        ("ResNet-34", 2, 230_144, 8_448, 295_424),
        ("ResNet-34", 3, 919_040, 33_280, 1_180_672),
        ("ResNet-18", 4, 3_673_088, 132_096, 4_720_640),
        ("32x4d", 1, 63_488, 16_896, 71_168),
        ("32x4d", 2, 349_184, 132_096, 282_624),
        ("32x4d", 3, 1_390_592, 526_336, 1_126_400),
        ("32x4d", 4, 5_550_080, 2_101_248, 4_497_408),
        ("32x8d", 1, 118_784, 16_896, 151_040),
        ("32x8d", 2, 602_112, 132_096, 601_088),
        ("32x8d", 3, 2_400_256, 526_336, 2_398_208),
        ("32x8d", 4, 9_584_640, 2_101_248, 9_580_544),
    ],
)
def test_parameter_counts_of_blocks(name, stage, first, projection, others):
    params = shapes(NETWORKS[name])["params"]
    blocks = [v for k, v in params.items() if k.startswith(f"layer{stage}_")]
    assert num_scalars(blocks[0]) == first
    assert num_scalars(blocks[0].get("shortcut", {})) == projection
    assert {num_scalars(block) for block in blocks[1:]} == {others}
    assert not any("shortcut" in block for block in blocks[1:])


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("ResNet-18", 11_689_512),
        ("ResNet-34", 21_797_672),
        ("32x4d", 44_177_704),
        ("32x8d", 88_791_336),
    ],
)
def test_a_classifier_of_1000_classes_has_the_published_size(name, total):
    assert num_scalars(shapes(Classifier(NETWORKS[name], 1000))["params"]) == total


@pytest.mark.parametrize(("name", "total"), [("ResNet-18", 11_171_266), ("ResNet-34", 21_279_426)])
def test_a_classifier_of_one_channel_and_two_classes(name, total):
    assert num_scalars(shapes(Classifier(NETWORKS[name], 2), channels=1)["params"]) == total


# The 3D network of Kinetics-700 and Moments in Time: 700 + 339 classes.
def test_parameter_counts_of_3d_resnet_18_are_the_published_ones():
    network = Classifier(ResNet("basic", (2, 2, 2, 2), stem_stride=(1, 2, 2)), 1039)
    volume = jax.ShapeDtypeStruct((1, 16, 32, 32, 3), jnp.float32)
    variables = jax.eval_shape(
        lambda k, x: network.init(k, x, train=True), jax.random.key(0), volume
    )
    params = variables["params"]
    trunk = params["trunk"]
    assert num_scalars(trunk["stem"]["conv"]) == 7**3 * 3 * 64 == 65_856
    for stage, count in enumerate((442_880, 1_557_760, 6_228_480, 24_908_800), start=1):
        blocks = {k: v for k, v in trunk.items() if k.startswith(f"layer{stage}_")}
        assert num_scalars(blocks) == count
    assert num_scalars(params["fc"]) == 533_007
    assert num_scalars(params) == 33_736_911


@pytest.mark.parametrize(("stem_stride", "depths"), [((1, 2, 2), (9, 5, 3)), (2, (5, 3, 2))])
def test_stages_of_a_volume_halve_the_grid_and_round_up(stem_stride, depths):
    network = ResNet("bottleneck", (1, 2), width=4, stem_stride=stem_stride)
    outputs = jax.eval_shape(
        lambda k, x: network.init_with_output(k, x, train=True)[0],
        jax.random.key(0),
        jnp.zeros((2, 9, 33, 47, 3)),
    )
    shapes = [out.shape for out in outputs]
    planes = (17, 24, 4), (9, 12, 16), (5, 6, 32)
    assert shapes == [(2, depth, *plane) for depth, plane in zip(depths, planes, strict=True)]


def test_a_gate_multiplies_the_first_convolution_before_its_norm():
    image = jax.random.normal(jax.random.key(0), (1, 16, 16, 3))
    variables = jax.jit(lambda key: TINY.init(key, image, train=False))(jax.random.key(1))
    run = jax.jit(lambda v, g: TINY.apply(v, image, train=False, gate=g)[0])
    gate = jnp.full((1, 8, 8, 4), 3.0)
    params, stem = variables["params"], variables["params"]["stem"]
    # A bias tells before the norm from behind it.
    norm = {**stem["norm"], "bias": stem["norm"]["bias"] + 1}
    tripled = {"kernel": 3 * stem["conv"]["kernel"]}
    gated = run({**variables, "params": {**params, "stem": {**stem, "norm": norm}}}, gate)
    expected = run(
        {**variables, "params": {**params, "stem": {"conv": tripled, "norm": norm}}},
        jnp.ones_like(gate),
    )
    np.testing.assert_allclose(gated, expected, atol=1e-5)  # a ReLU's zero among them


def test_a_gate_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected equal shapes; got gate \(1, 8, 8, 1\)"):
        TINY.init(
            jax.random.key(0), jnp.zeros((1, 16, 16, 3)), train=True, gate=jnp.ones((1, 8, 8, 1))
        )


@pytest.mark.parametrize("size", [(32, 64), (33, 47)])
def test_stages_halve_the_grid_and_round_up(size):
    outputs = jax.eval_shape(
        lambda k, x: TINY.init_with_output(k, x, train=True)[0],
        jax.random.key(0),
        jnp.zeros((2, *size, 3)),
    )
    for factor, channels, out in zip((2, 4, 8), (4, 16, 32), outputs, strict=True):
        assert out.shape == (2, *(math.ceil(s / factor) for s in size), channels)


def test_kernels_start_with_he_variance_of_the_outputs():
    # fan_out = 9 · 64 counts all groups; 9 · 2 · 64 draws put the deviation within 10 %.
    trunk = ResNet("bottleneck", (1,), groups=32, group_width=2)
    image = jnp.zeros((1, 8, 8, 1))
    variables = jax.jit(lambda k: trunk.init(k, image, train=True))(jax.random.key(0))
    kernel = variables["params"]["layer1_0"]["conv2"]["conv"]["kernel"]
    assert kernel.shape == (3, 3, 2, 64)
    assert float(kernel.std()) == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.1)


def test_dropout_acts_in_training_only_and_logits_are_linear_in_the_mean():
    network, image = Classifier(TINY, 3, dropout=0.5), jnp.ones((2, 16, 16, 1))
    variables = jax.jit(lambda k: network.init(k, image, train=False))(jax.random.key(0))

    @jax.jit
    def run(key):
        rngs = {"dropout": key}
        return network.apply(variables, image, train=True, rngs=rngs, mutable=["batch_stats"])[0]

    assert np.any(run(jax.random.key(1)) != run(jax.random.key(2)))
    trunk = {name: tree["trunk"] for name, tree in variables.items()}
    mean = TINY.apply(trunk, image, train=False)[-1].mean((1, 2))
    fc = variables["params"]["fc"]
    np.testing.assert_allclose(
        network.apply(variables, image, train=False),
        mean @ fc["kernel"] + fc["bias"].reshape(1, 3),
        rtol=1e-5,
        atol=1e-6,
    )


def test_an_image_without_channel_axis_is_refused():
    with pytest.raises(ValueError, match="image must have 4 or 5 axes"):
        TINY.init(jax.random.key(0), jnp.zeros((1, 16, 16)), train=True)
