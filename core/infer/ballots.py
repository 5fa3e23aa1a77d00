"""Ballots of majority voting: whole numbers, so that votes sum up alike in any order.

A ballot gives its label one vote, and every label its softmax, which only ties can hear.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int, UInt8

from core.infer.grid import Shape


class Ballot(NamedTuple):
    """Whole numbers of which the sums of a voxel's windows fit into int32.

    Args:
      vote: for the most probable label.
      softmax: of a label that is certain. All windows over a voxel together have less than `vote`,
        so it decides ties alone.
    """

    vote: int
    softmax: int


def ballot(overlap: int) -> Ballot:
    """Ballot where at most `overlap` windows lie over a voxel."""
    softmax = 1 << (((2**31 - 1) // (overlap * (overlap + 2))).bit_length() - 1)
    return Ballot(softmax * overlap + 1, softmax)


def cast(logits: Float[Array, "*s k"], of: Ballot) -> Int[Array, "*s v"]:
    """Ballots of voxels, and a last channel of ones."""
    label = jnp.argmax(logits, axis=-1, keepdims=True)
    best = jax.nn.one_hot(label[..., 0], logits.shape[-1], dtype=jnp.int32)
    softmax = jnp.rint(jax.nn.softmax(logits) * of.softmax).astype(jnp.int32)
    return jnp.concatenate([best * of.vote + softmax, jnp.ones_like(label, jnp.int32)], axis=-1)


def decided(
    votes: Int[Array, "d h w v"],
    covers: tuple[Float[Array, " d"], Float[Array, " h"], Float[Array, " w"]],
    starts: Int[Array, "n 3"],
    *,
    window: Shape,
    most: int,
) -> Bool[Array, " n"]:
    """Whether every voxel of a window leads by more than all its missing windows can give."""

    def one(start: Int[Array, "3"]) -> Bool[Array, ""]:
        here = lax.dynamic_slice(votes, (*start, 0), (*window, votes.shape[-1]))
        sides = zip(covers, start, window, strict=True)
        d, h, w = (lax.dynamic_slice(c, (at,), (size,)) for c, at, size in sides)
        num_windows = (d[:, None, None] * h[None, :, None] * w[None, None, :]).astype(jnp.int32)
        num_cast, of_class = here[..., -1], here[..., :-1]
        best = jax.nn.one_hot(jnp.argmax(of_class, axis=-1), of_class.shape[-1], dtype=jnp.bool_)
        second = jnp.where(best, -1, of_class).max(axis=-1)
        return jnp.all(of_class.max(axis=-1) - second > (num_windows - num_cast) * most)

    return lax.map(one, starts)


def finish(
    votes: Int[Array, "d h w v"], shift: Int[Array, ""], *, finished: int
) -> tuple[UInt8[Array, "f h w"], Int[Array, "d h w v"]]:
    """Labels of the first `finished` slices; votes moved forward by `shift`, zeros behind."""
    longer = jnp.pad(votes, ((0, finished), (0, 0), (0, 0), (0, 0)))
    moved = lax.dynamic_slice(longer, (shift, 0, 0, 0), votes.shape)
    return jnp.argmax(longer[:finished, ..., :-1], axis=-1).astype(jnp.uint8), moved
