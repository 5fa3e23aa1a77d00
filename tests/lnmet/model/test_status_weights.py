import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from core.nn import torch_weights
from lnmet.model import status
from lnmet.status.config import ModelConfig
from tests.refusals import refused

SQUARE = ModelConfig(width=2)
BOX = ModelConfig(network="resnet3d", width=2, pooling="mean", nodes=False, hidden=0)
SHAPES = {"resnet2d": (1, 32, 32, 3), "resnet3d": (1, 8, 32, 32, 3)}


def draw(cfg, seed):
    shapes = jax.eval_shape(lambda k: status.init(cfg, k, SHAPES[cfg.network]), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(np.float32), shapes)


def write(path, variables, prefix=""):
    trunk = {collection: tree["trunk"] for collection, tree in variables.items()}
    tensors = torch_weights.export(trunk, torch_weights.torchvision_resnet)
    tensors |= {"fc.weight": np.zeros((1039, 16), np.float32), "fc.bias": np.zeros(1039, "f4")}
    tensors["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    save_file({prefix + name: tensor for name, tensor in tensors.items()}, path)
    return path


@pytest.mark.parametrize(
    ("cfg", "prefix"), [(SQUARE, ""), (SQUARE, "model.backbone."), (BOX, "module.")]
)
def test_the_resnet_is_read_and_all_else_stays(tmp_path, cfg, prefix):
    source, ours = draw(cfg, 1), draw(cfg, 2)
    loaded = status.load_pretrained(cfg, ours, write(tmp_path / "w.safetensors", source, prefix))
    assert jax.tree.structure(loaded) == jax.tree.structure(ours)
    for collection, tree in loaded.items():
        expected = {**ours[collection], "trunk": source[collection]["trunk"]}
        jax.tree.map(np.testing.assert_array_equal, tree, expected)


def test_weights_of_the_other_dimension_are_refused(tmp_path):
    path = write(tmp_path / "square.safetensors", draw(SQUARE, 0))
    with refused(path, "resnet3d has 3D kernels", "(2, 3, 7, 7)", hint="r3d18_KM"):
        status.load_pretrained(BOX, draw(BOX, 0), path)


def test_missing_and_misshapen_tensors_are_named(tmp_path):
    source = draw(SQUARE, 0)
    for tree in source.values():
        tree["trunk"].pop("layer4_1")
    path = write(tmp_path / "short.safetensors", source)
    with refused(path, "missing", "layer4.1.", hint="width"):
        status.load_pretrained(SQUARE, draw(SQUARE, 0), path)
    wide = ModelConfig(width=3)
    path = write(tmp_path / "wide.safetensors", draw(wide, 0))
    with refused(path, "of another shape", "layer1", hint="width"):
        status.load_pretrained(SQUARE, draw(SQUARE, 0), path)
