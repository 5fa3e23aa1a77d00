import itertools

import jax
import numpy as np

from core.random import rng, step_key, stream


def bits(key: jax.Array) -> tuple:
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_step_keys_differ_over_seeds_and_steps_and_repeat():
    keys = {(seed, step): bits(step_key(seed, step)) for seed in range(4) for step in range(8)}
    assert len(set(keys.values())) == len(keys)
    assert all(bits(step_key(*ids)) == key for ids, key in keys.items())


def test_step_key_is_the_same_for_a_traced_step():
    traced = jax.jit(lambda step: step_key(3, step))(jax.numpy.int32(5))
    assert bits(traced) == bits(step_key(3, 5))


def test_streams_of_one_key_differ_by_name():
    names = ("init", "augment", "dropout", "Dropout")
    keys = [bits(stream(jax.random.key(0), name)) for name in names]
    assert len(set(keys)) == len(names)


def test_host_generators_depend_on_every_id():
    ids = [i for n in range(1, 5) for i in itertools.product(range(2), repeat=n)]
    draws = {i: rng(*i).integers(2**62) for i in ids}
    assert len(set(draws.values())) == len(ids)
    assert rng(1, 2).integers(2**62) == rng(1, 2).integers(2**62)
