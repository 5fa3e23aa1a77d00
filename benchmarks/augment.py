"""Augmentation of every paper: a batch of its recipe, and nnU-Net's beside batchgeneratorsv2."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import eusdaf.loss
import eusdaf.recipes
import fee.loss
import fee.recipes
from benchmarks import harness, routines
from benchmarks.routines import Routine
from benchmarks.suites import Item
from core.augment.config import VolumeAugmentConfig
from core.augment.loading import loading_shape
from core.augment.nnunet import nnunet
from core.augment.spatial import cube_symmetry

FILE = "augment"
EVERYWHERE = ("cpu", "gpu")
PATCHES = {48: EVERYWHERE, 128: ("gpu",)}
"""Side, and groups: what two cores do in a moment, and about as many voxels as LNMet's patch."""


def items() -> list[Item]:
    """nnU-Net's augmentation, of LNMet, beside its peer; those of the other papers alone."""
    alone = [
        Item(title, FILE, partial(_alone, title, make), EVERYWHERE) for title, make in ALONE.items()
    ]
    return (
        routines.items([_volumes(side, groups) for side, groups in PATCHES.items()], FILE) + alone
    )


def _volumes(side: int, groups: tuple[str, ...]) -> Routine:
    """Of two phases with a label and an attention map."""
    return Routine(
        f"augment 10 batches of 2 × {side}³ × 2",
        "augmentation",
        lambda: _loaded((side, side, side), 10),
        _augmentation,
        None,
        {"batchgeneratorsv2": groups},
    )


def _loaded(patch: tuple[int, int, int], num_batches: int) -> tuple[Any, ...]:
    """Shape of the patch, the number of batches of 2, and a loaded image, label and gate."""
    cfg, rng = VolumeAugmentConfig(), np.random.default_rng(0)
    shape = loading_shape(patch, cfg.degrees, cfg.loading_scales)
    image = rng.standard_normal((*shape, 2), np.float32)
    return patch, num_batches, image, (image[..., 0] > 1).astype(np.uint8), rng.random(shape, "f4")


def _augmentation(patch: tuple[int, int, int], num_batches: int, *loaded: Any) -> harness.Run:
    """Drawn anew for every batch: the peer is fast at patches for which it draws little."""
    arrays = [jax.numpy.stack([array, array]) for array in loaded]

    def augment(number: jax.Array, *arrays: jax.Array) -> Any:
        keys = jax.random.split(jax.random.key(number))
        return jax.vmap(partial(nnunet, patch=patch, cfg=VolumeAugmentConfig()))(keys, *arrays)

    batch = harness.compile_step(augment, 0, *arrays)
    return lambda: [batch(number, *arrays) for number in range(num_batches)]


def _alone(
    title: str, make: Callable[[], tuple[Callable[..., Any], tuple[Any, ...]]], repeats: int
) -> list[harness.Row]:
    augment, arrays = make()
    compiled = harness.compile_step(augment, jax.random.key(0), *arrays)
    run = partial(compiled, jax.random.key(0), *arrays)
    return [harness.compare(title, run, repeats=repeats)]


def _cubes() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    def augment(key: jax.Array, image: jax.Array, label: jax.Array) -> Any:
        return jax.vmap(cube_symmetry)(jax.random.split(key, len(image)), image, label)

    shape = (16, 64, 64, 64)
    return augment, (jnp.zeros((*shape, 1)), jnp.zeros(shape, jnp.uint8))


def _slices() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    cfg = fee.recipes.RECIPES["segment"]
    shape = (cfg.data.batch, cfg.prepare.size, cfg.prepare.size)
    return partial(fee.loss.augment, cfg.augment), (jnp.zeros(shape, jnp.uint8),) * 2


def _pictures() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    cfg = eusdaf.recipes.RECIPES["daf"]
    shape = (cfg.data.batch, cfg.prepare.size, cfg.prepare.size)
    return partial(eusdaf.loss.augment, cfg), (jnp.zeros(shape, jnp.uint8),) * 2


ALONE = {
    "augment a batch of s4c/pdac-64, 16 × 64³": _cubes,
    "augment a batch of fee/segment, 2 × 512²": _slices,
    "augment a batch of eusdaf/daf, 32 × 256²": _pictures,
}
"""The time of an augmentation does not depend on what is drawn, nor on the voxels."""
