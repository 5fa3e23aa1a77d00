"""FEE-DL's networks in float32 against their PyTorch twins with the same weights in float64.

Gradients are compared through the names of the weights. Float32 rounding through 34 layers stays
within 1e-4.
"""

from copy import deepcopy

import jax
import numpy as np
import pytest

from core.nn import torch_weights
from core.nn.resnet_weights import load_trunk
from fee import model
from fee.config import ModelConfig

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")

from safetensors.torch import save_file  # noqa: E402

from benchmarks.peers import torch_fee  # noqa: E402

pytestmark = pytest.mark.parity
RELATIVE = 1e-4
CONFIGS = {
    "resnet18": ModelConfig("resnet", 64, (2, 2, 2, 2), dropout=0.0),
    "resnet34": ModelConfig("resnet", 16, (3, 4, 6, 3), dropout=0.0),
    "unet": ModelConfig("unet", 16, dropout=0.0),
    "unet-of-three": ModelConfig("unet", 4, convs=3, dropout=0.0),
    "unet-without-middle": ModelConfig("unet", 4, middle=False, dropout=0.0),
}
SHAPE = (2, 64, 48, 1)


def twin_of(cfg):
    """A twin whose norms have been used: statistics, scales and shifts of their own."""
    torch.manual_seed(0)
    twin = torch_fee.make(cfg)
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, *list(module.buffers())[:2]):
                tensor += 0.2 * torch.rand(tensor.shape)
    return twin


def to_tensor(array):
    array = np.asarray(array)
    return torch.tensor(np.moveaxis(array, -1, 1) if array.ndim == 4 else array).double()


def to_array(tensor):
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def assert_close(ours, theirs, scale=None, where=""):
    assert np.shape(ours) == np.shape(theirs)
    scale = np.abs(theirs).max() if scale is None else scale
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * scale, err_msg=where)


def template_of(cfg):
    return jax.eval_shape(lambda key: model.init(cfg, key, SHAPE), jax.random.key(0))


@pytest.fixture(params=CONFIGS, scope="module")
def case(request):
    """Config, twin in float64, our variables of its weights, and slices."""
    cfg = CONFIGS[request.param]
    twin = twin_of(cfg)
    tensors = torch_fee.tensors_of(twin.state_dict().items())
    variables = torch_weights.fill(template_of(cfg), tensors, torch_fee.name_of)
    image = np.random.default_rng(0).standard_normal(SHAPE, np.float32)
    return cfg, twin.double(), variables, image


def test_evaluation_gives_the_same_logits(case):
    cfg, twin, variables, image = case
    state = {"batch_stats": variables["batch_stats"]}
    ours = jax.jit(lambda p, x: model.apply(cfg, p, state, x)[0])(variables["params"], image)
    with torch.inference_mode():
        theirs = twin.eval()(to_tensor(image))
    assert_close(ours, to_array(theirs))


def test_training_gives_the_same_logits_statistics_and_gradients(case):
    # A ReLU whose input is within rounding of zero passes its gradient on or does not, in float32
    # PyTorch (two of five images) as in ours: of 12 images 7 agree through the whole U-Net, 11 and
    # 12 through the other networks. So one of six has to, which chance alone misses once in 190.
    for seed in range(6):
        try:
            return trains_alike(case, np.random.default_rng(seed).standard_normal(SHAPE, "f4"))
        except AssertionError as error:
            last = error
    raise last


def trains_alike(case, image):
    cfg, twin, variables, _ = case
    twin = deepcopy(twin)  # its gradients add up, and its statistics move
    pull = np.random.default_rng(1).standard_normal(
        (*SHAPE[:3], 2) if cfg.network == "unet" else (SHAPE[0], 2), np.float32
    )
    state = {"batch_stats": variables["batch_stats"]}

    @jax.jit
    def run(params, image):
        def loss(params, image):
            logits, after = model.apply(cfg, params, state, image, train=True)
            return (logits * pull).sum(), (logits, after)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, image)

    (_, (logits, after)), (grads, of_image) = run(variables["params"], image)
    pixels = to_tensor(image).requires_grad_()
    theirs = twin.train()(pixels)
    (theirs * to_tensor(pull)).sum().backward()
    assert_close(logits, to_array(theirs))
    assert_close(of_image, to_array(pixels.grad))
    tensors = torch_fee.tensors_of((n, p.grad) for n, p in twin.named_parameters())
    expected = torch_weights.fill({"params": grads}, tensors, torch_fee.name_of)["params"]
    largest = max(np.abs(t).max() for t in tensors.values())
    for path, ours, peer in pairs(grads, expected):
        # A bias in front of a norm has the true gradient zero: rounding of other layers' size.
        none = np.abs(peer).max() < 1e-9 * largest
        assert_close(ours, peer, largest if none else None, jax.tree_util.keystr(path))
    tensors = torch_fee.tensors_of(twin.named_buffers())
    stats = after["batch_stats"]
    expected = torch_weights.fill({"batch_stats": stats}, tensors, torch_fee.name_of)
    # The running variance is PyTorch's unbiased one; the smallest count is 2 · 2 · 2, at 1/32.
    for path, ours, peer in pairs(stats, expected["batch_stats"]):
        if path[-1].key == "mean":
            assert_close(ours, peer, None, jax.tree_util.keystr(path))
        else:
            np.testing.assert_allclose(ours, peer, rtol=1 / 7 + RELATIVE)


def pairs(ours, expected):
    flat = jax.tree_util.tree_leaves_with_path(dict(ours))
    return [(p, x, y) for (p, x), y in zip(flat, jax.tree.leaves(expected), strict=True)]


def test_three_equal_channels_give_what_the_imported_stem_gives_of_one(tmp_path):
    cfg = ModelConfig("resnet", 8, (1, 1, 1, 1), dropout=0.0, norm_eps=1e-5)
    torch.manual_seed(0)
    twin = torch_fee.torch_resnext.ResNet("basic", cfg.blocks, width=8, num_in=3)
    state = twin.state_dict() | {"fc.weight": torch.zeros(1000, 64), "fc.bias": torch.zeros(1000)}
    save_file(state, tmp_path / "resnet.safetensors")
    rng = np.random.default_rng(0)
    ours = jax.tree.map(lambda s: rng.standard_normal(s.shape).astype(np.float32), template_of(cfg))
    loaded = load_trunk(ours, model.TRUNK, tmp_path / "resnet.safetensors", is_gray=True)
    image = rng.standard_normal(SHAPE, np.float32)
    logits, _ = model.apply(cfg, loaded["params"], {"batch_stats": loaded["batch_stats"]}, image)
    with torch.inference_mode():
        features = twin.double().eval()(to_tensor(np.repeat(image, 3, axis=-1)))[-1].mean((2, 3))
    head = ours["params"]["fc"]
    assert_close(logits, features.numpy() @ head["kernel"] + head["bias"])
