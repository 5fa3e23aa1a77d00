"""The networks of S4C in float32 against PyTorch twins with the same weights in float64.

The twin's own float32 gradients are off by up to 1e-4 of a layer's largest, ours by 1e-5.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.losses.entropy import cross_entropy
from s4c import model
from s4c.config import Config, LossConfig, ModelConfig, PrepareConfig

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make peers`")

from benchmarks.peers import torch_s4c  # noqa: E402
from benchmarks.peers.torch_layout import to_input  # noqa: E402

pytestmark = pytest.mark.parity
RELATIVE = 5e-5
CONFIGS = {
    "encoder": ModelConfig(width=4),
    "decoder": ModelConfig(width=4, aux_at="decoder", conv_bias=True, num_classes=4),
    "one": ModelConfig(width=4, num_aux=1, convs_step1=1),
    "unet3d": ModelConfig("unet3d", width=2, num_aux=0),
    "vnet": ModelConfig("vnet", width=2, num_aux=0, num_classes=4),
}


@pytest.fixture(params=CONFIGS, scope="module")
def case(request):
    """Config, random variables with used statistics, image and label."""
    network = CONFIGS[request.param]
    aux_weights = {0: (), 1: (1 / 3,), 2: (0.2, 0.4)}[network.num_aux]
    class_weights = (1.0, 0.5, 3.0, 2.0)[: network.num_classes]
    # Two voxels per axis are left at the bottom: the statistics of fewer amplify every rounding.
    shape = (2, *(2 * network.downsampling,) * 3, 1)
    prepare = PrepareConfig(duct=network.num_classes == 4)
    cfg = Config(prepare=prepare, model=network, loss=LossConfig(aux_weights, class_weights))
    variables = jax.jit(lambda key: model.init(cfg.model, key, shape))(jax.random.key(0))
    rng = np.random.default_rng(0)
    # Score layers start near zero and norms at one: move all, so that nothing hides.
    variables = jax.tree.map(
        lambda a: a + np.float32(0.1) * np.abs(rng.standard_normal(a.shape, np.float32)), variables
    )
    image = rng.standard_normal(shape, np.float32)
    label = rng.integers(0, cfg.model.num_classes, shape[:-1], np.int32)
    return cfg, variables["params"], {"batch_stats": variables["batch_stats"]}, image, label


def assert_close(ours, theirs):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * np.abs(theirs).max())


def to_array(tensor):
    return tensor.detach().permute(0, 2, 3, 4, 1).numpy()


def test_evaluation_gives_the_same_logits(case):
    cfg, params, state, image, _ = case
    ours = jax.jit(lambda p, s, x: model.apply(cfg.model, p, s, x)[0].main)(params, state, image)
    twin = torch_s4c.build(cfg.model, params, state).eval().double()
    with torch.inference_mode():
        main, aux = twin(to_input(image).double())
    assert aux == []
    assert_close(ours, to_array(main))


def test_training_gives_the_same_outputs_statistics_and_gradients(case):
    cfg, params, state, image, label = case

    @jax.jit
    def run(params, state, image, label):
        def loss(params):
            outputs, after = model.apply(cfg.model, params, state, image, train=True)
            weighted = zip((1.0, *cfg.loss.aux_weights), (outputs.main, *outputs.aux), strict=True)
            terms = [
                w * cross_entropy(z, label, class_weights=cfg.loss.class_weights).mean()
                for w, z in weighted
            ]
            return jnp.stack(terms).sum(), (outputs, after)

        return jax.value_and_grad(loss, has_aux=True)(params)

    (value, (outputs, after)), grads = run(params, state, image, label)
    twin = torch_s4c.build(cfg.model, params, state).train().double()
    main, aux = twin(to_input(image).double())
    theirs = torch_s4c.loss(cfg, (main, aux), torch.tensor(label).long())
    theirs.backward()
    assert float(value) == pytest.approx(theirs.item(), rel=RELATIVE)
    for ours, peer in zip((outputs.main, *outputs.aux), (main, *aux), strict=True):
        assert_close(ours, to_array(peer))
    expected = torch_s4c.to_state_dict(grads, after)
    largest = max(float(p.grad.abs().max()) for p in twin.parameters())
    for name, parameter in twin.named_parameters():
        if name.endswith("conv.bias"):
            # A norm follows: the true gradient is zero, what is left is rounding.
            assert float(expected[name].abs().max()) <= RELATIVE * largest
        else:
            assert_close(expected[name], parameter.grad)
    # The running variance is PyTorch's unbiased one, n / (n - 1) of ours; n is least deepest down.
    smallest_count = 2 * 2**3
    for name, running in twin.named_buffers():
        if name.endswith("mean"):
            assert_close(expected[name], running)
        if name.endswith("var"):
            # The new part of it is off by 1 / (n - 1).
            np.testing.assert_allclose(
                expected[name], running, rtol=1 / (smallest_count - 1) + RELATIVE
            )
