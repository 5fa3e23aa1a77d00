import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import InputError
from core.nn import torch_weights
from core.nn.resnet import ResNet
from core.nn.resnet_weights import load_trunk
from tests.refusals import refused

BLOCKS = (1, 2, 1, 1)
DECODER = {"kernel": np.zeros((1, 1, 4, 4), np.float32)}


def draw(seed, blocks=BLOCKS, *, groups=2, channels=3):
    """Variables of a network with a ResNeXt inside."""
    net = ResNet("bottleneck", blocks, width=4, groups=groups, group_width=2)
    image = jax.ShapeDtypeStruct((1, 32, 32, channels), np.float32)
    shapes = jax.eval_shape(lambda key: net.lazy_init(key, image, train=True), jax.random.key(0))
    rng = np.random.default_rng(seed)
    drawn = jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(np.float32), shapes)
    decoder = {"params": {"decoder": DECODER}, "batch_stats": {}}
    return {name: {"encoder": tree, **decoder[name]} for name, tree in drawn.items()}


def load(variables, path, **options):
    return load_trunk(variables, "encoder", path, **options)


@pytest.fixture(scope="module")
def source():
    """Variables that a file holds."""
    return draw(1)


@pytest.fixture(scope="module")
def ours():
    """Variables that a file's replace."""
    return draw(2)


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def encoder(variables):
    return {collection: dict(tree["encoder"]) for collection, tree in variables.items()}


def decoder(variables):
    return {c: {k: v for k, v in tree.items() if k != "encoder"} for c, tree in variables.items()}


def in_torchvision(source):
    return torch_weights.export(encoder(source), torch_weights.torchvision_resnet)


def numbered(name):
    """Place of a torchvision tensor in the sequence of the official release of 32x4d."""
    layers = {"conv1": "0.0.0.0", "bn1": "0.0.0.1", "conv2": "0.0.0.3", "bn2": "0.0.0.4"}
    layers |= {"conv3": "0.0.1", "bn3": "0.0.2"}
    parts = name.split(".")
    if not name.startswith("layer"):
        return ".".join([{"conv1": "0", "bn1": "1"}[parts[0]], *parts[1:]])
    stage, number, layer, *rest = parts
    place = f"0.1.{rest.pop(0)}" if layer == "downsample" else layers[layer]
    return ".".join([str(int(stage[-1]) + 3), number, place, *rest])


def of_the_authors(sequence_name):
    """Name of such a place inside `resnext.` of a DAF checkpoint."""
    first, rest = sequence_name.split(".", 1)
    if first in "01":
        return f"resnext.layer0.{sequence_name}"
    return f"resnext.layer{int(first) - 3}." + ("1." if first == "4" else "") + rest


HEAD = {"weight": np.zeros((1000, 64), np.float32), "bias": np.zeros(1000, np.float32)}


def layouts(source):
    named = in_torchvision(source)
    sequence = {numbered(name): t for name, t in named.items()}
    return {
        "torchvision": named | {f"fc.{k}": v for k, v in HEAD.items()},
        "trunk": named,
        "sequence": sequence | {f"10.1.{k}": v for k, v in HEAD.items()},
        "features": {f"features.{n}": t for n, t in sequence.items()}
        | {f"last_linear.{k}": v for k, v in HEAD.items()},
        "daf": {of_the_authors(n): t for n, t in sequence.items()},
        "daf over torchvision": {f"resnext.{n}": t for n, t in named.items()},
    }


@pytest.mark.parametrize("layout", sorted(layouts(draw(1))))
def test_a_trunk_is_read_in_every_layout_and_the_rest_kept(layout, source, ours, tmp_path):
    save_file(layouts(source)[layout], tmp_path / "encoder.safetensors")
    filled = load(ours, tmp_path / "encoder.safetensors")
    assert_equal(encoder(filled), encoder(source))
    assert_equal(decoder(filled), decoder(ours))


def test_an_encoder_is_read_out_of_a_whole_checkpoint(source, ours, tmp_path):
    rest = {"down1.0.weight": np.zeros((4, 16, 1, 1), np.float32), "predict1.bias": np.zeros(1)}
    tensors = {f"module.{n}": t for n, t in (layouts(source)["daf"] | rest).items()}
    save_file(tensors, tmp_path / "daf.safetensors")
    filled = load(ours, tmp_path / "daf.safetensors")
    assert_equal(encoder(filled), encoder(source))


def test_a_file_without_an_encoder_is_refused(ours, tmp_path):
    save_file({"head.weight": np.zeros(3, np.float32)}, tmp_path / "net.safetensors")
    with refused(tmp_path / "net.safetensors", "no ResNet", "conv1"):
        load(ours, tmp_path / "net.safetensors")


def test_an_encoder_of_another_width_is_refused(source, tmp_path):
    save_file(in_torchvision(source), tmp_path / "net.safetensors")
    wider = draw(0, groups=4)
    message = r"of another shape than in this network: layer1.0.bn1.running_mean \(4,\), .* more"
    with pytest.raises(InputError, match=message):
        load(wider, tmp_path / "net.safetensors")


def test_an_encoder_with_missing_or_more_blocks_is_refused(source, tmp_path):
    save_file(in_torchvision(source), tmp_path / "net.safetensors")
    deeper = draw(0, (1, 2, 2, 1))
    with refused(
        tmp_path / "net.safetensors",
        "missing",
        "layer3.1.bn1.running_mean",
        " 11 more",
        hint="width",
    ):
        load(deeper, tmp_path / "net.safetensors")
    flatter = draw(0, (1, 1, 1, 1))
    with refused(tmp_path / "net.safetensors", "not part of", "layer2.1.bn1.bias", hint="width"):
        load(flatter, tmp_path / "net.safetensors")


@pytest.mark.parametrize("layout", ["torchvision", "sequence", "features", "daf"])
def test_colors_of_the_stem_are_summed_for_a_gray_network(layout, source, tmp_path):
    save_file(layouts(source)[layout], tmp_path / "net.safetensors")
    gray = load(draw(2, channels=1), tmp_path / "net.safetensors", is_gray=True)
    stems = [encoder(variables)["params"]["stem"]["conv"]["kernel"] for variables in (gray, source)]
    np.testing.assert_allclose(stems[0][:, :, 0], stems[1].sum(axis=2), rtol=1e-6)


def test_a_network_without_a_trunk_is_refused(tmp_path):
    with pytest.raises(InputError, match="do not fit a network without one"):
        load({"params": {"decoder": DECODER}}, tmp_path / "net.safetensors")


@pytest.mark.parametrize("layout", sorted(layouts(draw(1))))
@pytest.mark.parametrize("prefix", ["backbone.", "model.", "module.encoder.net."])
def test_a_prefix_of_all_tensors_is_taken_off_in_every_layout(
    layout, prefix, source, ours, tmp_path
):
    tensors = {f"{prefix}{n}": t for n, t in layouts(source)[layout].items()}
    save_file(tensors, tmp_path / "net.safetensors")
    assert_equal(encoder(load(ours, tmp_path / "net.safetensors")), encoder(source))


def test_a_head_beside_a_trunk_with_a_prefix_is_left_out(source, ours, tmp_path):
    tensors = {f"backbone.{n}": t for n, t in in_torchvision(source).items()}
    tensors |= {f"classifier.{k}": v for k, v in HEAD.items()}
    save_file(tensors, tmp_path / "net.safetensors")
    assert_equal(encoder(load(ours, tmp_path / "net.safetensors")), encoder(source))


def test_names_that_are_not_understood_are_shown(source, ours, tmp_path):
    tensors = {f"encoder_q.{n}": t for n, t in in_torchvision(source).items()}
    tensors |= {"queue": np.zeros((2, 2), np.float32)}
    save_file(tensors, tmp_path / "net.safetensors")
    with refused(tmp_path / "net.safetensors", "no ResNet", "the file has encoder_q."):
        load(ours, tmp_path / "net.safetensors")
