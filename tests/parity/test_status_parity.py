"""LNMet's status networks in float32 against their PyTorch twins with the same weights in float64.

The encoding layer of the twin is that of the package torch-encoding by formula: its own functions
`scaled_l2` and `aggregate` are extensions in C++ that no longer compile beside today's PyTorch.
"""

from copy import deepcopy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn import torch_weights
from core.nn.resnet import ResNet
from lnmet.model import status
from lnmet.model.status_network import BLOCKS
from lnmet.model.texture import encode
from lnmet.status.config import ModelConfig

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")

from benchmarks.peers import torch_status  # noqa: E402
from benchmarks.peers.torch_layout import to_input  # noqa: E402

pytestmark = pytest.mark.parity
# Float32 rounding through 18 layers, and through sums over thousands of voxels.
RELATIVE = 1e-4
CONFIGS = {
    "status": ModelConfig(),
    "deepten": ModelConfig(width=16, texture="deepten", hidden=0),
    "dep": ModelConfig(width=16, pooling="texture", texture="dep", nodes=False),
    "resnet2d": ModelConfig(pooling="mean", nodes=False, hidden=0),
    "resnet3d": ModelConfig("resnet3d", width=16, pooling="mean", nodes=False, hidden=0),
}
SHAPES = {"resnet2d": (4, 96, 64, 3), "resnet3d": (3, 20, 64, 64, 3)}


def twin_of(cfg):
    """A twin that has been used: norms and side branch are not what they start as."""
    torch.manual_seed(0)
    twin = torch_status.StatusNetwork(cfg)
    for module in twin.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for tensor in (module.weight.data, module.bias.data, *list(module.buffers())[:2]):
                tensor += 0.2 * torch.rand(tensor.shape)
        if isinstance(module, torch_status.Encoding):
            # At 128 channels one codeword has all of a place, and of the gradient only rounding
            # is left: softer.
            module.scale.data /= 100
    return twin


def inputs_of(cfg, seed):
    rng, shape = np.random.default_rng(seed), SHAPES[cfg.network]
    image = rng.standard_normal(shape, np.float32)
    mask = (rng.random((*shape[:-1], 1)) < 0.3).astype(np.float32)
    return image, mask, np.array([0.0, 500.0, 80.0, 1200.0], np.float32)[: shape[0]]


def to_tensors(image, mask, volume):
    return to_input(image).double(), to_input(mask).double(), torch.tensor(volume).double()


def template_of(cfg):
    return jax.eval_shape(lambda k: status.init(cfg, k, SHAPES[cfg.network]), jax.random.key(0))


def arrays_of(named):
    arrays = {name: tensor.detach().float().numpy() for name, tensor in named}
    return {n: a for n, a in arrays.items() if not n.endswith("num_batches_tracked")}


def assert_close(ours, theirs, scale=None, where=""):
    assert np.shape(ours) == np.shape(theirs)
    scale = np.abs(theirs).max() if scale is None else scale
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * scale, err_msg=where)


@pytest.fixture(params=CONFIGS, scope="module")
def case(request):
    """Config, twin in float64, and our variables of its weights."""
    cfg = CONFIGS[request.param]
    twin = twin_of(cfg)
    tensors = arrays_of(twin.state_dict().items())
    variables = torch_weights.fill(template_of(cfg), tensors, torch_status.name_of)
    return cfg, twin.double(), variables


def test_evaluation_gives_the_same_logits(case):
    cfg, twin, variables = case
    state, arrays = {"batch_stats": variables["batch_stats"]}, inputs_of(cfg, 0)
    ours = jax.jit(lambda params: status.apply(cfg, params, state, *arrays)[0])
    with torch.inference_mode():
        theirs = twin.eval()(*to_tensors(*arrays))
    assert_close(ours(variables["params"]), theirs.numpy())


def test_training_gives_the_same_logits_statistics_and_gradients(case):
    # A ReLU whose input is within rounding of zero passes its gradient on or does not
    # (tests/parity/test_fee_parity.py counts how often): one of six batches has to agree.
    for seed in range(6):
        try:
            return trains_alike(case, inputs_of(case[0], seed))
        except AssertionError as error:
            last = error
    raise last


def trains_alike(case, arrays):
    cfg, twin, variables = case
    twin = deepcopy(twin).train()  # its gradients add up, and its statistics move
    state = {"batch_stats": variables["batch_stats"]}
    pull = np.random.default_rng(1).standard_normal((len(arrays[0]), 2), np.float32)

    @jax.jit
    def run(params, image):
        def loss(params, image):
            logits, after = status.apply(cfg, params, state, image, *arrays[1:], train=True)
            return (logits * pull).sum(), (logits, after)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, image)

    (_, (logits, after)), (grads, of_image) = run(variables["params"], arrays[0])
    image, *others = to_tensors(*arrays)
    image.requires_grad_()
    theirs = twin(image, *others)
    (theirs * torch.tensor(pull)).sum().backward()
    assert_close(logits, theirs.detach().numpy())
    assert_close(of_image, image.grad.movedim(1, -1).numpy())
    expected = arrays_of((n, p.grad) for n, p in twin.named_parameters())
    largest = max(np.abs(array).max() for array in expected.values())
    for name, ours in torch_weights.export({"params": grads}, torch_status.name_of).items():
        # A bias in front of a norm has the true gradient zero: rounding of other layers' size.
        none = np.abs(expected[name]).max() < 1e-9 * largest
        assert_close(ours, expected.pop(name), largest if none else None, name)
    assert not expected
    statistics = arrays_of(twin.named_buffers())
    for name, ours in torch_weights.export(dict(after), torch_status.name_of).items():
        if name.endswith("running_mean"):
            assert_close(ours, statistics[name], None, name)
        else:  # PyTorch's is unbiased; the smallest count is that of the volumes, 4
            np.testing.assert_allclose(ours, statistics[name], rtol=1 / 3 + RELATIVE)


@pytest.mark.parametrize(("places", "codewords", "descriptors"), [(49, 8, 64), (49, 32, 128)])
def test_the_encoding_is_that_of_the_package_torch_encoding(places, codewords, descriptors):
    rng = np.random.default_rng(0)
    # Of length 1, so that no codeword has all of a place and no gradient is but rounding.
    x = rng.standard_normal((2, places, descriptors), np.float32) * np.float32(descriptors**-0.5)
    bound = (codewords * descriptors) ** -0.5
    words = rng.uniform(-bound, bound, (codewords, descriptors)).astype(np.float32)
    smoothing = rng.uniform(-1, 0, codewords).astype(np.float32)
    pull = rng.standard_normal((2, codewords, descriptors), np.float32)
    ours, pull_back = jax.vjp(jax.jit(encode), *map(jnp.asarray, (x, words, smoothing)))
    tensors = [torch.tensor(a).double().requires_grad_() for a in (x, words, smoothing)]
    shares = torch.softmax(torch_status.scaled_l2(*tensors), dim=2)
    theirs = torch_status.aggregate(shares, *tensors[:2])
    (theirs * torch.tensor(pull)).sum().backward()
    assert_close(ours, theirs.detach().numpy())
    for gradient, tensor in zip(pull_back(pull), tensors, strict=True):
        assert_close(gradient, tensor.grad.numpy())


def test_a_checkpoint_of_kinetics_and_moments_fills_the_3d_trunk(tmp_path):
    cfg = CONFIGS["resnet3d"]
    twin = torch_status.torch_resnext.ResNet("basic", BLOCKS, width=16, stem_stride=(1, 2, 2))
    twin.fc = torch.nn.Linear(128, 1039)
    path = tmp_path / "r3d18_KM_200ep.pth"
    tensors = {f"module.{name}": tensor for name, tensor in twin.state_dict().items()}
    # What stands beside the weights in the published file.
    torch.save(
        {
            "epoch": 200,
            "arch": "resnet-18",
            "state_dict": tensors,
            "optimizer": {},
            "scheduler": {},
        },
        path,
    )
    rng = np.random.default_rng(0)
    drawn = jax.tree.map(
        lambda s: rng.standard_normal(s.shape).astype(np.float32), template_of(cfg)
    )
    loaded = status.load_pretrained(cfg, drawn, path)
    trunk = {collection: tree["trunk"] for collection, tree in loaded.items()}
    image = inputs_of(cfg, 0)[0]
    network = ResNet("basic", BLOCKS, 16, stem_stride=(1, 2, 2))
    ours = jax.jit(lambda x: network.apply(trunk, x, train=False))(image)
    with torch.inference_mode():
        theirs = twin.double().eval()(to_input(image).double())
    for stage, (got, expected) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(got, expected.movedim(1, -1).numpy(), where=f"output {stage}")
