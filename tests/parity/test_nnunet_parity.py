"""Networks of `dynamic_network_architectures` with random weights, and ours with the same."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from core.nn import nnunet_names, torch_weights
from core.nn.unet import Heads, UNet, UNetPlan

pytestmark = pytest.mark.parity
torch = pytest.importorskip("torch")

SIZES = (8, 32, 24)
PLANS = {
    "plain": UNetPlan(
        features=(8, 16, 32, 32),
        strides=((1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 2, 1)),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        encoder="plain",
        encoder_units=(2, 2, 3, 2),
        decoder_units=(2, 1, 2),
        transposed_bias=True,
    ),
    "residual": UNetPlan(
        features=(8, 16, 32, 32),
        strides=((1, 1, 1), (2, 2, 2), (1, 2, 2), (2, 2, 1)),
        kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
        encoder="residual",
        encoder_units=(1, 2, 3, 2),
        decoder_units=(1, 2, 1),
        transposed_bias=True,
    ),
}


class Network(nn.Module):
    plan: UNetPlan

    @nn.compact
    def __call__(self, image):
        return Heads(3, name="heads")(UNet(self.plan, name="unet")(image).decoder)


@cache
def published(name: str):
    """nnU-Net's network of a plan, random in every parameter."""
    from dynamic_network_architectures.architectures import unet

    plan = PLANS[name]
    num = "n_conv_per_stage" if name == "plain" else "n_blocks_per_stage"
    network = {"plain": unet.PlainConvUNet, "residual": unet.ResidualEncoderUNet}[name](
        2,
        len(plan.features),
        list(plan.features),
        kernel_sizes=plan.kernels,
        strides=plan.strides,
        num_classes=3,
        n_conv_per_stage_decoder=list(plan.decoder_units[::-1]),
        conv_op=torch.nn.Conv3d,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=True,
        **{num: list(plan.encoder_units)},
    )
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2 if parameter.ndim > 1 else 1.0)
    return network


@pytest.mark.parametrize("name", PLANS)
def test_logits_of_every_head_are_nnunets(name, tmp_path):
    theirs, ours = published(name), Network(PLANS[name])
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    tensors = nnunet_names.without_duplicates(torch_weights.read(tmp_path / "weights.pth"))
    assert nnunet_names.version_of(tensors) == 2
    wanted = jax.eval_shape(ours.init, jax.random.key(0), jnp.zeros((1, *SIZES, 2)))
    variables = torch_weights.fill(wanted, tensors, nnunet_names.names(PLANS[name], 2))
    image = np.random.default_rng(0).normal(size=(2, 2, *SIZES)).astype(np.float32)
    with torch.no_grad():
        expected = [out.numpy() for out in theirs(torch.from_numpy(image))]
    outputs = jax.jit(ours.apply)(variables, np.moveaxis(image, 1, -1))
    for out, want in zip(outputs, expected, strict=True):
        # Logits reach 6; sums of float32 in another order.
        np.testing.assert_allclose(np.moveaxis(out, -1, 1), want, atol=1e-4)
