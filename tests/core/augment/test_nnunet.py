"""The whole list: what it leaves alone, what it draws, and what an accelerator is given."""

from dataclasses import fields, replace
from functools import partial

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from core.augment.config import VolumeAugmentConfig
from core.augment.nnunet import change_intensity, nnunet
from core.augment.volume_resample import center_crop

LOADED, PATCH = (14, 16, 15), (9, 10, 8)
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.normal(size=(*LOADED, 2)), jnp.float32)
LABEL = jnp.asarray(RNG.integers(0, 3, LOADED), jnp.uint8)
GATE = jnp.asarray(RNG.random(LOADED), jnp.float32)
CFG = VolumeAugmentConfig()
PROBABILITIES = [f.name for f in fields(CFG) if f.name.endswith("_probability")]
ALWAYS = replace(CFG, **dict.fromkeys(PROBABILITIES, 1.0))
NEVER = replace(CFG, **dict.fromkeys(PROBABILITIES, 0.0))
augment = jax.jit(nnunet, static_argnames=("patch", "cfg", "label_fill"))


@pytest.mark.parametrize("cfg", [NEVER, replace(ALWAYS, scheme="none")], ids=["never", "none"])
def test_without_a_draw_the_patch_is_the_middle_bit_for_bit(cfg):
    out = augment(jax.random.key(0), IMAGE, LABEL, GATE, patch=PATCH, cfg=cfg)
    for volume, patch in zip((IMAGE, LABEL, GATE), out, strict=True):
        np.testing.assert_array_equal(patch, center_crop(volume, PATCH))
        assert patch.dtype == volume.dtype


def test_is_a_function_of_the_key():
    keys = map(jax.random.key, (1, 1, 2))
    runs = [augment(key, IMAGE, LABEL, GATE, patch=PATCH, cfg=ALWAYS) for key in keys]
    for once, again, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(once, again)
        assert not np.array_equal(once, other)


def test_a_batch_is_its_samples():
    keys = jax.random.split(jax.random.key(0), 3)
    run = partial(nnunet, patch=PATCH, cfg=ALWAYS)
    batch = [jnp.stack([x, x[::-1], x[:, ::-1]]) for x in (IMAGE, LABEL, GATE)]
    together = jax.jit(jax.vmap(run))(keys, *batch)
    for n in range(3):
        alone = augment(keys[n], *(x[n] for x in batch), patch=PATCH, cfg=ALWAYS)
        for a, b in zip(together, alone, strict=True):
            # Sums in another order; intensities are a few units.
            np.testing.assert_allclose(a[n], b, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, -3.5])
def test_a_constant_image_has_no_nan(value):
    out = augment(
        jax.random.key(0), jnp.full_like(IMAGE, value), LABEL, GATE, patch=PATCH, cfg=ALWAYS
    )
    assert all(np.isfinite(x).all() for x in out)


GEOMETRIC = ["rotation_probability", "scaling_probability", "mirror_probability"]
OF_CHANNELS = {"blur_channel_probability": 1.0, "low_resolution_channel_probability": 1.0}


@pytest.mark.parametrize("name", GEOMETRIC)
def test_a_geometric_change_alone_changes_all_three(name):
    cfg = replace(NEVER, **{name: 1.0})
    out = augment(jax.random.key(5), IMAGE, LABEL, GATE, patch=PATCH, cfg=cfg)
    for volume, patch in zip((IMAGE, LABEL, GATE), out, strict=True):
        assert not np.array_equal(patch, center_crop(volume, PATCH))


@pytest.mark.parametrize("name", sorted({*PROBABILITIES} - {*GEOMETRIC} - {*OF_CHANNELS}))
def test_a_change_of_intensity_alone_changes_every_channel(name):
    cfg = replace(NEVER, **{name: 1.0}, **OF_CHANNELS, zooms=(0.5, 0.6))
    image = jax.jit(partial(change_intensity, cfg=cfg))(jax.random.key(5), IMAGE)
    assert (image != IMAGE).any((0, 1, 2)).all()


def test_changes_are_drawn_as_often_as_they_should():
    image = center_crop(IMAGE, (4, 4, 4))
    keys = jax.random.split(jax.random.key(0), 2000)
    out = jax.jit(jax.vmap(lambda key: change_intensity(key, image, CFG)))(keys)
    untouched = (np.asarray(out) == np.asarray(image)).all((1, 2, 3))
    # No change at all of the six, blur and low resolution in one channel.
    once = 0.9 * 0.85 * 0.85 * 0.9 * 0.7
    expected = once * (1 - 0.2 / 2) * (1 - 0.25 / 2)
    # Four standard errors of a share.
    assert np.abs(untouched.mean(0) - expected).max() < 4 * np.sqrt(expected / 2000)
    both = once * (0.8 + 0.2 / 4) * (0.75 + 0.25 / 4)
    assert abs(untouched.all(1).mean() - both) < 4 * np.sqrt(both / 2000)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_neither_branch_nor_loop_nor_convolve(platform):
    batch = [jax.ShapeDtypeStruct((2, *x.shape), x.dtype) for x in (IMAGE, LABEL, GATE)]
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0)))
    run = jax.jit(jax.vmap(partial(nnunet, patch=PATCH, cfg=CFG)))
    program = jax.export.export(run, platforms=[platform])(keys, *batch).mlir_module()
    for name in ("while", "case", "sort", "scatter", "convolution", "dynamic_slice"):
        assert f"stablehlo.{name}" not in program
    assert "stablehlo.gather" in program


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scheme": "all"}, "scheme must be one of"),
        ({"scale_draws": "thirds"}, "scale_draws must be one of"),
        ({"blur_probability": 1.5}, r"blur_probability must lie in \[0, 1\]; got 1.5"),
        ({"gammas": (1.5, 0.7)}, r"gammas needs 0 <= low <= high; got \(1.5, 0.7\)"),
        ({"degrees": 91.0}, r"degrees must lie in \[0, 90\]; got 91.0"),
        ({"scales": (0.0, 1.4)}, "the low end of scales must be positive; got 0.0"),
        ({"zooms": (0.5, 1.1)}, r"zooms must not exceed 1; got \(0.5, 1.1\)"),
    ],
)
def test_a_config_that_cannot_be_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        replace(CFG, **changed)
