import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import InputError
from core.nn import torch_weights
from core.nn.resnet_weights import load_trunk
from fee import model
from fee.config import ModelConfig
from tests.refusals import refused

CFG = ModelConfig("resnet", 4, (1, 2, 1, 1))
HEAD = {"fc.weight": np.zeros((1000, 32), np.float32), "fc.bias": np.zeros(1000, np.float32)}


def load(variables, path):
    return load_trunk(variables, model.TRUNK, path, is_gray=True)


def draw(cfg, seed):
    shapes = jax.eval_shape(lambda key: model.init(cfg, key, (1, 32, 32, 1)), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(np.float32), shapes)


def imagenet(variables):
    """Tensors of a trunk as ImageNet's, the stem's kernels spread over three channels."""
    trunk = {collection: tree["trunk"] for collection, tree in variables.items()}
    tensors = torch_weights.export(trunk, torch_weights.torchvision_resnet)
    gray = tensors["conv1.weight"]
    colors = np.concatenate([0.5 * gray, 0.25 * gray, 0.25 * gray], axis=1)
    return tensors | {"conv1.weight": colors} | HEAD


def test_a_trunk_is_read_its_colors_summed_and_our_classes_kept(tmp_path):
    source, ours = draw(CFG, 1), draw(CFG, 2)
    save_file(imagenet(source), tmp_path / "resnet.safetensors")
    filled = load(ours, tmp_path / "resnet.safetensors")
    assert jax.tree.structure(filled) == jax.tree.structure(ours)
    # The quarters add up exactly, up to float32 rounding.
    for collection in ("params", "batch_stats"):
        got, wanted = filled[collection]["trunk"], source[collection]["trunk"]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), got, dict(wanted))
    jax.tree.map(np.testing.assert_array_equal, filled["params"]["fc"], ours["params"]["fc"])


def test_missing_and_left_over_tensors_are_named(tmp_path):
    path = tmp_path / "resnet.safetensors"
    save_file(imagenet(draw(CFG, 1)), path)
    deeper = draw(ModelConfig("resnet", 4, (1, 2, 2, 1)), 0)
    with refused(path, "missing", "layer3.1.bn1.running_mean", hint="width"):
        load(deeper, path)
    flatter = draw(ModelConfig("resnet", 4, (1, 1, 1, 1)), 0)
    with refused(path, "not part of", "layer2.1.bn1.bias", hint="width"):
        load(flatter, path)


def test_a_u_net_is_refused(tmp_path):
    with pytest.raises(InputError, match="weights of a ResNet do not fit"):
        load(draw(ModelConfig("unet", 2), 0), tmp_path / "resnet.safetensors")
