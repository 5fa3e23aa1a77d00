"""EUSDAF's networks in float32 against their PyTorch twins with the same weights in float64.

Weights are drawn by PyTorch, written to a file and read from it; gradients are compared through the
same names. Float32 rounding through up to forty layers stays within 1e-4.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn import torch_weights
from core.nn.resnet import ResNet
from eusdaf import model
from eusdaf.config import ModelConfig

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")

from safetensors.torch import save_file  # noqa: E402

from benchmarks.peers import torch_eusdaf, torch_resnext  # noqa: E402

pytestmark = pytest.mark.parity
RELATIVE = 1e-4
SMALL = {"width": 8, "blocks": (1, 2, 1, 1), "groups": 4, "group_width": 2, "features": 8}
CONFIGS = {
    "daf": ModelConfig(**SMALL),
    "daf-literal": ModelConfig(**SMALL, refine="conv1", upsampling="align_corners"),
    "unet": ModelConfig("unet", width=4),
    "attention-unet": ModelConfig("attention-unet", width=4),
}


def random_twin(twin, seed=0):
    """A twin whose norms have been used: statistics, scales and shifts of their own."""
    generator = torch.Generator().manual_seed(seed)
    for module in twin.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, *list(module.buffers())[:2]):
                tensor += 0.2 * torch.rand(tensor.shape, generator=generator)
    return twin


def twin_of(cfg):
    torch.manual_seed(0)
    return random_twin(torch_eusdaf.make(cfg))


def tensors_of(named):
    return {
        name: tensor.detach().float().numpy()
        for name, tensor in named
        if not name.endswith("num_batches_tracked")
    }


def to_tensor(array):
    return torch.tensor(np.asarray(array)).permute(0, 3, 1, 2).double()


def to_array(tensor):
    return tensor.detach().permute(0, 2, 3, 1).numpy()


def assert_close(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * np.abs(theirs).max())


@pytest.fixture(params=CONFIGS, scope="module")
def case(request, tmp_path_factory):
    """Config, twin in float64, our variables from its file, and an image."""
    cfg = CONFIGS[request.param]
    twin = twin_of(cfg)
    # Odd sizes on the way down for DAF-Net; the U-Nets want multiples of 16.
    shape = (2, 52, 44, 3) if cfg.network == "daf" else (2, 32, 48, 3)
    template = jax.eval_shape(lambda key: model.init(cfg, key, shape), jax.random.key(0))
    path = tmp_path_factory.mktemp("weights") / "twin.safetensors"
    save_file(twin.state_dict(), path)
    tensors = torch_weights.read(path)
    variables = torch_weights.fill(template, tensors, torch_eusdaf.name_of(cfg), path=path)
    image = np.random.default_rng(0).standard_normal(shape, np.float32)
    return cfg, twin.double(), variables, image


def test_evaluation_gives_the_same_maps(case):
    cfg, twin, variables, image = case
    state = {"batch_stats": variables["batch_stats"]}
    run = jax.jit(lambda p, s, x: model.apply(cfg, p, s, x)[0])
    ours = run(variables["params"], state, image)
    with torch.inference_mode():
        theirs = twin.eval()(to_tensor(image))
    for map_, peer in zip(ours.side_logits, theirs, strict=True):
        assert_close(map_, to_array(peer))
    answer = torch.stack(theirs[-4:] if cfg.network == "daf" else theirs).mean(0)
    assert_close(ours.logits, to_array(answer))


def test_training_gives_the_same_maps_statistics_and_gradients(case):
    cfg, twin, variables, image = case
    rng = np.random.default_rng(1)
    num_maps = 8 if cfg.network == "daf" else 1
    pulls = rng.standard_normal((num_maps, *image.shape[:3], 1), np.float32)

    @jax.jit
    def run(params, state, image):
        def loss(params):
            outputs, after = model.apply(cfg, params, state, image, train=True)
            maps = jnp.stack(outputs.side_logits)
            return (maps * pulls).sum(), (maps, after)

        return jax.value_and_grad(loss, has_aux=True)(params)

    state = {"batch_stats": variables["batch_stats"]}
    (_, (maps, after)), grads = run(variables["params"], state, image)
    theirs = twin.train()(to_tensor(image))
    twin.zero_grad()
    sum((m * to_tensor(p)).sum() for m, p in zip(theirs, pulls, strict=True)).backward()
    for ours, peer in zip(maps, theirs, strict=True):
        assert_close(ours, to_array(peer))
    assert_same_gradients(grads, twin, torch_eusdaf.name_of(cfg))
    assert_same_statistics(after["batch_stats"], twin, torch_eusdaf.name_of(cfg), image.shape)


def assert_same_gradients(grads, twin, name_of):
    tensors = tensors_of((n, p.grad) for n, p in twin.named_parameters())
    expected = torch_weights.fill({"params": grads}, tensors, name_of)["params"]
    largest = max(np.abs(t).max() for t in tensors.values())
    flat = zip(
        jax.tree_util.tree_leaves_with_path(dict(grads)), jax.tree.leaves(expected), strict=True
    )
    for (path, ours), peer in flat:
        where = jax.tree_util.keystr(path)
        # A bias in front of a norm has the true gradient zero, and a slope's is one number, the
        # sum of a whole layer's: what they lose by rounding is measured on other layers.
        alone = peer.size == 1 or np.abs(peer).max() < 1e-9 * largest
        scale = largest if alone else np.abs(peer).max()
        np.testing.assert_allclose(ours, peer, rtol=0, atol=RELATIVE * scale, err_msg=where)


def assert_same_statistics(stats, twin, name_of, shape):
    tensors = tensors_of(twin.named_buffers())
    expected = torch_weights.fill({"batch_stats": stats}, tensors, name_of)["batch_stats"]
    flat = zip(
        jax.tree_util.tree_leaves_with_path(dict(stats)), jax.tree.leaves(expected), strict=True
    )
    # The running variance is PyTorch's unbiased one; the smallest count is at 1/32 or 1/16.
    smallest = shape[0] * (shape[1] // 32) * (shape[2] // 32)
    for (path, ours), peer in flat:
        if path[-1].key == "mean":
            assert_close(ours, peer)
        else:
            np.testing.assert_allclose(ours, peer, rtol=1 / (smallest - 1) + RELATIVE)


@pytest.mark.parametrize(
    ("kind", "blocks", "groups"), [("basic", (2, 1, 1, 1), 1), ("bottleneck", (1, 1, 2, 1), 4)]
)
def test_every_stage_of_a_residual_trunk_is_the_same(kind, blocks, groups):
    trunk = ResNet(kind, blocks, width=8, groups=groups, group_width=2)
    torch.manual_seed(0)
    twin = torch_resnext.ResNet(kind, blocks, width=8, groups=groups, group_width=2, num_in=1)
    twin = random_twin(twin)
    image = np.random.default_rng(0).standard_normal((1, 33, 46, 1), np.float32)
    template = jax.eval_shape(lambda k: trunk.init(k, image, train=True), jax.random.key(0))
    variables = torch_weights.fill(
        template, tensors_of(twin.state_dict().items()), torch_weights.torchvision_resnet
    )
    ours = jax.jit(lambda v, x: trunk.apply(v, x, train=False))(variables, image)
    with torch.inference_mode():
        theirs = twin.double().eval()(to_tensor(image))
    for stage, peer in zip(ours, theirs, strict=True):
        assert_close(stage, to_array(peer))


def test_the_whole_resnext_101_gives_the_same_features():
    trunk = ResNet("bottleneck", (3, 4, 23, 3), groups=32, group_width=4)
    torch.manual_seed(0)
    twin = random_twin(torch_resnext.ResNet("bottleneck", (3, 4, 23, 3), groups=32, group_width=4))
    image = np.random.default_rng(0).standard_normal((1, 64, 64, 3), np.float32)
    template = jax.eval_shape(lambda k: trunk.init(k, image, train=True), jax.random.key(0))
    tensors = tensors_of(twin.state_dict().items())
    variables = torch_weights.fill(template, tensors, torch_weights.torchvision_resnet)
    ours = jax.jit(lambda v, x: trunk.apply(v, x, train=False))(variables, image)
    with torch.inference_mode():
        theirs = twin.double().eval()(to_tensor(image))
    for stage, peer in zip(ours, theirs, strict=True):
        assert_close(stage, to_array(peer))
