"""Sliding windows: a network over a volume of any size, on the device, in bounded memory.

The volume goes through chunk by chunk along D. The image of a chunk and the sums of its windows'
ballots stay on the device; only finished slices come back. The network is compiled once for its
batch of windows whatever the volume; the small moves around it, once per bucket of volume sizes.

Measured on two CPU cores, cutting and adding a window of 64³ takes 0.3 ms this way, and 2 ms in
numpy on the host, where it would also hold an accelerator up.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Num
from numpy.typing import NDArray

from core import check, compiler
from core.infer import grid
from core.infer.batches import one_behind
from core.infer.grid import Plan, Shape
from core.preprocess.crop import crop, pad_to
from core.types import Variables

Apply = Callable[[Variables, Float[Array, "n d h w c"]], Float[Array, "n d h w k"]]
Ask = Callable[..., Array]
Predict = Callable[..., Float[np.ndarray, "d h w k"]]


class Steps(NamedTuple):
    """What is compiled, and shared by all volumes."""

    put: Callable[..., Array]
    """host array → device array"""
    cut: Callable[..., Array]
    """(chunk, starts) → windows"""
    ask: Callable[..., Array]
    """(variables, windows, which axes are mirrored) → ballots"""
    add: Callable[..., Array]
    """(sums, ballots, starts, how many of them count) → sums"""
    finish: Callable[..., tuple[Array, Array]]
    """(sums, shift, covers, finished) → (finished slices, sums moved by `shift`)"""


def predictor(
    apply: Apply,
    *,
    window: Shape,
    stride: Shape,
    batch: int,
    num_classes: int,
    combine: Literal["average", "logits"],
    importance: Literal["uniform", "gaussian"] = "uniform",
    even: bool = False,
    mirrored: Sequence[int] = (),
    sharding: NamedSharding | None = None,
) -> Predict:
    """Make `predict(variables, image, *, fill)`: class probabilities of whole volumes.

    `image` is (d, h, w, c) float32 on the host; one smaller than a window is padded with `fill`,
    what air is after normalisation. The result is (d, h, w, k) float32 on the host and sums to 1
    over k. With "average" it is the mean softmax of the windows over a voxel, with "logits" the
    softmax of their mean logits (nnU-Net 2).

    Args:
      apply: (variables, windows (n, d, h, w, c)) → logits (n, d, h, w, k), pure.
      window: voxels of a window (d, h, w).
      stride: voxels between windows (d, h, w); the last one is flush with the border.
      batch: windows per call of the network, over all devices.
      num_classes: k.
      combine: how the windows over a voxel become one answer.
      importance: weight of the voxels of a window: all alike, or more towards its middle.
      even: spread windows evenly, at most a stride apart.
      mirrored: spatial axes, 0 to 2, over whose mirrorings a window is averaged.
      sharding: of the batch of windows, to share it among devices; None uses one.

    Returns:
      The function; keep it, it owns the compiled network.

    Raises:
      ValueError: if `combine` is unknown, a stride leaves voxels out, or the devices do not divide
        the batch.
    """
    check.one_of("combine", combine, ("average", "logits"))
    check.one_of("importance", importance, ("uniform", "gaussian"))
    grid.require_windows(window, stride, batch, sharding)
    ask = asking(
        apply,
        window=window,
        num_classes=num_classes,
        combine=combine,
        importance=importance,
        mirrored=mirrored,
    )
    answer = jax.nn.softmax if combine == "logits" else _as_it_is
    steps = _compiled(ask, answer, window, sharding)

    def predict(
        variables: Variables, image: Float[np.ndarray, "d h w c"], *, fill: float
    ) -> Float[np.ndarray, "d h w k"]:
        check.rank("image", image, 4)
        padded, box = pad_to(np.asarray(image, np.float32), window, fill)
        d, h, w, num_channels = padded.shape
        plan = Plan((d, h, w), window, stride, batch, num_channels, num_classes, even, importance)
        probs = np.empty((d, h, w, num_classes), np.float32)
        for first, stop, slices in one_behind(_run(steps, plan, variables, padded, mirrored)):
            probs[first:stop] = np.asarray(slices)[: stop - first, :h, :w]
        return crop(probs, box)

    return predict


def asking(
    apply: Apply,
    *,
    window: Shape,
    num_classes: int,
    combine: Literal["average", "logits"],
    importance: Literal["uniform", "gaussian"] = "uniform",
    mirrored: Sequence[int] = (),
) -> Ask:
    """What windows add to the sums over their voxels, as of `predictor`.

    Returns:
      (variables, windows, which of `mirrored` are mirrored) → ballots, divided by the number of
      mirrorings.
    """
    ballot = {"average": jax.nn.softmax, "logits": _as_it_is}[combine]

    def ask(
        variables: Variables, windows: Float[Array, "n d h w c"], are_mirrored: Bool[Array, "a"]
    ) -> Array:
        expected = (*windows.shape[:-1], num_classes)
        logits = apply(variables, _mirrored(windows, mirrored, are_mirrored))
        if logits.shape != expected:
            raise ValueError(f"apply must return logits {expected}; got {logits.shape}")
        ballots = ballot(logits.astype(jnp.float32)) / 2 ** len(mirrored)
        return _mirrored(ballots, mirrored, are_mirrored)

    return _weighted(ask, window) if importance == "gaussian" else ask


def mirrorings(mirrored: Sequence[int]) -> list[tuple[bool, ...]]:
    """Which of the axes are mirrored, one mirroring after the other."""
    return list(product((False, True), repeat=len(mirrored)))


def _mirrored(array: Array, axes: Sequence[int], are_mirrored: Bool[Array, "a"]) -> Array:
    """Windows mirrored along those spatial axes whose flag is set."""
    for axis, is_mirrored in zip(axes, are_mirrored, strict=True):
        array = jnp.where(is_mirrored, jnp.flip(array, axis + 1), array)
    return array


def _weighted(ask: Ask, window: Shape) -> Ask:
    """Ballots times the importance of their voxels."""
    importance = grid.gaussian_window(window)[None, ..., None]
    return lambda *args: ask(*args) * importance


def _as_it_is(array: Array) -> Array:
    return array


def _compiled(
    ask: Ask,
    answer: Callable[[Array], Array],
    window: Shape,
    sharding: NamedSharding | None,
) -> Steps:
    """Jit the steps: windows split over the devices, everything else on each of them."""
    whole = sharding and NamedSharding(sharding.mesh, PartitionSpec())
    return Steps(
        put=partial(jax.device_put, device=whole),
        cut=jax.jit(partial(cut, window=window), out_shardings=sharding),
        ask=compiler.jit(ask, out_shardings=whole),
        add=jax.jit(add, donate_argnums=0),
        finish=jax.jit(
            partial(_finish, answer), static_argnames="finished", donate_argnames="sums"
        ),
    )


def _run(
    steps: Steps,
    plan: Plan,
    variables: Variables,
    image: NDArray[np.float32],
    mirrored: Sequence[int],
) -> Iterator[tuple[int, int, Array]]:
    """Yield (first, stop, slices on the device): the work is queued, not waited for."""
    sums = steps.put(np.zeros((*plan.chunk_shape, plan.num_classes), np.float32))
    before: Array | None = None
    for chunk in plan.chunks():
        slab = steps.put(pad_chunk(image[chunk.first :], plan.chunk_shape))
        for i in range(0, len(chunk.starts), plan.batch):
            starts = chunk.starts[i : i + plan.batch]
            num_windows = np.int32(len(starts))
            # A fixed batch: the missing windows are cut at 0, and not added.
            starts = np.pad(starts, ((0, plan.batch - len(starts)), (0, 0)))
            windows = steps.cut(slab, starts)
            # One mirroring after the other: the network is compiled once for all of them.
            for are_mirrored in mirrorings(mirrored):
                ballots = steps.ask(variables, windows, np.array(are_mirrored, bool))
                sums = steps.add(sums, ballots, starts, num_windows)
                if before is not None:
                    before.block_until_ready()  # One batch waits, no more: each holds memory.
                before = ballots
        for first in range(chunk.first, chunk.done, plan.finished):
            stop = min(first + plan.finished, chunk.done)
            shift = np.int32(stop - first)
            slices, sums = steps.finish(
                sums, shift, plan.covers(first, plan.finished), finished=plan.finished
            )
            yield first, stop, slices


def pad_chunk(part: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """First slices of a volume, zeros where it ends before `shape` does: no window reads those."""
    part = part[: shape[0]]
    missing = [(0, wanted - size) for wanted, size in zip(shape, part.shape, strict=False)]
    return np.pad(part, (*missing, (0, 0))) if any(m for _, m in missing) else part


def cut(
    chunk: Float[Array, "d h w c"], starts: Int[Array, "n 3"], *, window: Shape
) -> Float[Array, "n e i j c"]:
    """Windows of a chunk."""

    def one(start: Int[Array, "3"]) -> Float[Array, "e i j c"]:
        return lax.dynamic_slice(chunk, (*start, 0), (*window, chunk.shape[-1]))

    return jax.vmap(one)(starts)


def add(
    sums: Num[Array, "d h w k"],
    ballots: Num[Array, "n e i j k"],
    starts: Int[Array, "n 3"],
    num_windows: Int[Array, ""],
) -> Num[Array, "d h w k"]:
    """Add the first `num_windows` ballots where they belong, one after the other: in place."""

    def one(i: Int[Array, ""], sums: Num[Array, "d h w k"]) -> Num[Array, "d h w k"]:
        at = (*starts[i], 0)
        there = lax.dynamic_slice(sums, at, ballots.shape[1:])
        return lax.dynamic_update_slice(sums, there + ballots[i], at)

    return lax.fori_loop(0, num_windows, one, sums)


def _finish(
    answer: Callable[[Array], Array],
    sums: Float[Array, "d h w k"],
    shift: Int[Array, ""],
    covers: tuple[Float[Array, "f"], Float[Array, "h"], Float[Array, "w"]],
    *,
    finished: int,
) -> tuple[Float[Array, "f h w k"], Float[Array, "d h w k"]]:
    """Answers of the first `finished` slices; sums moved forward by `shift`, zeros behind."""
    d, h, w = covers
    importance = d[:, None, None] * h[None, :, None] * w[None, None, :]
    longer = jnp.pad(sums, ((0, finished), (0, 0), (0, 0), (0, 0)))
    moved = lax.dynamic_slice(longer, (shift, 0, 0, 0), sums.shape)
    return answer(longer[:finished] / importance[..., None]), moved
