"""Random streams as pure functions of a seed: nothing is stored, so nothing is restored."""

import zlib

import jax
import numpy as np

from core.types import Key


def step_key(seed: int, step: int | jax.Array) -> Key:
    """Key of one training step: a pure function of (seed, step)."""
    return jax.random.fold_in(jax.random.key(seed), step)


def stream(key: Key, name: str) -> Key:
    """Key of one purpose ("augment", "dropout", …) within a step or an initialisation."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def rng(seed: int, *ids: int) -> np.random.Generator:
    """Host generator that depends on the seed and any further ids (epoch, case, step)."""
    # As a spawn key, ids count in number and order; in one sequence with the seed, NumPy takes
    # (0,) and (0, 0) for the same.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=ids))
