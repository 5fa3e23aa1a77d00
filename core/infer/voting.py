"""Majority voting over sliding windows, which stops where the outcome is certain.

A voxel is decided when its leading label has more votes than the second can still catch up with. A
window whose voxels are all decided need not run, so windows run in an order that decides early: at
first every other one, as on a chessboard, which is about half of the votes of each voxel; then the
others, far apart ones first. What is not decided fills whole batches. Votes are whole numbers, so
that no order changes a sum, and the labels are those of the full pass.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, UInt8
from numpy.typing import NDArray

from core import check, compiler
from core.infer import ballots, grid
from core.infer.batches import one_behind
from core.infer.grid import Chunk, Plan, Shape
from core.infer.sliding import Apply, add, cut, pad_chunk
from core.preprocess.crop import crop, pad_to
from core.types import Variables

VOTES_BYTES = 2 << 30
"""Of the votes on the device: layers of windows that share them decide one another's voxels."""
CHECKED_AT_ONCE = 64
"""Most windows of which one program tells whether they are decided; no more than a batch, after
which others may be."""


class Voted(NamedTuple):
    """Labels of a volume, and how many windows it took.

    Args:
      label: most votes; of a tie, the larger summed softmax, then the lower label.
      num_windows: of the volume.
      num_run: that the network was asked about.
    """

    label: UInt8[np.ndarray, "d h w"]
    num_windows: int
    num_run: int


def voter(
    apply: Apply,
    *,
    window: Shape,
    stride: Shape,
    batch: int,
    num_classes: int,
    early: bool = True,
    sharding: NamedSharding | None = None,
) -> Callable[..., Voted]:
    """Make `vote(variables, image, *, fill, body=None)`: labels of whole volumes.

    `image` is (d, h, w, c) float32 on the host; one smaller than a window is padded with `fill`.
    Windows without a voxel of `body` (d, h, w) are background, and the network is not asked.

    Args:
      apply: (variables, windows (n, d, h, w, c)) → logits (n, d, h, w, k), pure.
      window: voxels of a window (d, h, w).
      stride: voxels between windows (d, h, w); the last one is flush with the border.
      batch: windows per call of the network, over all devices.
      num_classes: k, at most 255.
      early: whether decided windows are left out; without, every window runs.
      sharding: of the batch of windows, to share it among devices; None uses one.

    Returns:
      The function; keep it, it owns the compiled network.

    Raises:
      ValueError: a stride leaves voxels out, or the devices do not divide the batch.
    """
    grid.require_windows(window, stride, batch, sharding)
    overlap = grid.largest_overlap(window, stride)
    steps = _compiled(apply, window, num_classes, ballots.ballot(overlap), sharding)

    def vote(
        variables: Variables,
        image: Float[np.ndarray, "d h w c"],
        *,
        fill: float,
        body: Bool[np.ndarray, "d h w"] | None = None,
    ) -> Voted:
        check.rank("image", image, 4)
        padded, box = pad_to(np.asarray(image, np.float32), window, fill)
        d, h, w, num_channels = padded.shape
        plan = Plan((d, h, w), window, stride, batch, num_channels, num_classes)
        plan = plan.with_sums_of(VOTES_BYTES)
        inside = np.ones(plan.counts, bool) if body is None else _with_body(body, plan)
        label, num_run = np.empty((d, h, w), np.uint8), 0
        for part in one_behind(_run(steps, plan, variables, padded, inside, early)):
            label[part.first : part.stop] = np.asarray(part.label)[: part.stop - part.first, :h, :w]
            num_run += part.num_run
        return Voted(crop(label, box), plan.num_windows, num_run)

    return vote


class Part(NamedTuple):
    """Slices `first` to `stop` of the answer, on the device, and the windows that ran for them."""

    first: int
    stop: int
    label: Array
    num_run: int


class Steps(NamedTuple):
    """What is compiled, and shared by all volumes; votes have a last channel that counts windows.

    Args:
      put: host array → device array.
      cut: (chunk, starts) → windows.
      ask: (variables, windows) → ballots.
      background: ballots of windows without a body.
      add: (votes, ballots, starts, how many of them count) → votes.
      decided: (votes, covers, starts) → whether no voxel of a window can change its label.
      finish: (votes, shift, number of slices) → (labels of the first slices, votes moved).
    """

    put: Callable[..., Array]
    cut: Callable[..., Array]
    ask: Callable[..., Array]
    background: Callable[..., Array]
    add: Callable[..., Array]
    decided: Callable[..., Array]
    finish: Callable[..., tuple[Array, Array]]


def _compiled(
    apply: Apply,
    window: Shape,
    num_classes: int,
    of: ballots.Ballot,
    sharding: NamedSharding | None,
) -> Steps:
    """Jit the steps: windows split over the devices, everything else on each of them."""
    whole = sharding and NamedSharding(sharding.mesh, PartitionSpec())
    certain = jnp.full((*window, num_classes), -jnp.inf).at[..., 0].set(0.0)
    return Steps(
        put=partial(jax.device_put, device=whole),
        cut=jax.jit(partial(cut, window=window), out_shardings=sharding),
        ask=compiler.jit(asking(apply, num_classes, of), out_shardings=whole),
        background=jax.jit(lambda: ballots.cast(certain[None], of), out_shardings=whole),
        add=jax.jit(add, donate_argnums=0),
        decided=jax.jit(partial(ballots.decided, window=window, most=of.vote + of.softmax)),
        finish=jax.jit(ballots.finish, static_argnames="finished", donate_argnames="votes"),
    )


def asking(apply: Apply, num_classes: int, of: ballots.Ballot) -> Callable[..., Array]:
    """What windows add to the votes over their voxels: (variables, windows) → ballots.

    Raises:
      ValueError: logits of another shape.
    """

    def ask(variables: Variables, windows: Float[Array, "n d h w c"]) -> Int[Array, "n d h w v"]:
        logits = apply(variables, windows)
        if logits.shape != (expected := (*windows.shape[:-1], num_classes)):
            raise ValueError(f"apply must return logits {expected}; got {logits.shape}")
        return ballots.cast(logits.astype(jnp.float32), of)

    return ask


def _run(
    steps: Steps,
    plan: Plan,
    variables: Variables,
    image: NDArray[np.float32],
    inside: Bool[np.ndarray, "i j k"],
    early: bool,
) -> Iterator[Part]:
    """Yield the slices of the answer, chunk by chunk."""
    votes = steps.put(np.zeros((*plan.chunk_shape, plan.num_classes + 1), np.int32))
    layer = 0
    for chunk in plan.chunks():
        slab = steps.put(pad_chunk(image[chunk.first :], plan.chunk_shape))
        num_layers = len(chunk.starts) // prod(plan.counts[1:])
        has_body = inside[layer : layer + num_layers]
        layer, num_run = layer + num_layers, 0
        votes = _add_background(steps, votes, chunk.starts[~has_body.ravel()])
        order = order_of(has_body.shape) if early else np.arange(has_body.size)
        starts = chunk.starts[order[has_body.ravel()[order]]]
        waiting = starts[:0]
        num_checked = min(CHECKED_AT_ONCE, plan.batch)
        for candidates, is_last in _in_parts(starts, num_checked):
            if early:
                candidates = candidates[
                    ~_are_decided(steps, plan, chunk, votes, candidates, num_checked)
                ]
            waiting = np.concatenate([waiting, candidates])
            num = len(waiting) if is_last else len(waiting) // plan.batch * plan.batch
            for some, size in _batches(waiting[:num], plan.batch):
                cast = steps.ask(variables, steps.cut(slab, some))
                votes = steps.add(votes, cast, some, size)
            waiting, num_run = waiting[num:], num_run + num
        for first in range(chunk.first, chunk.done, plan.finished):
            stop = min(first + plan.finished, chunk.done)
            label, votes = steps.finish(votes, np.int32(stop - first), finished=plan.finished)
            yield Part(first, stop, label, num_run)
            num_run = 0


def order_of(counts: tuple[int, ...]) -> NDArray[np.intp]:
    """Numbers of the windows of a grid in the order in which they are looked at, each once.

    First comes every other window as on a chessboard. The others follow in rounds of every third
    window along each axis, so that one window of a round rarely decides another's voxels.
    """
    i, j, k = np.indices(counts).reshape(3, -1)
    sparse = 1 + 9 * (i % 3) + 3 * (j % 3) + k % 3
    number = np.where((i + j + k) % 2 == 0, 0, sparse)
    return np.argsort(number, kind="stable")


def _with_body(body: Bool[np.ndarray, "d h w"], plan: Plan) -> Bool[np.ndarray, "i j k"]:
    """Whether a window holds a voxel of the body: sums along one axis after the other."""
    num = pad_to(body, plan.window, 0)[0].astype(np.int32)
    for axis, (starts, size) in enumerate(zip(plan.axes, plan.window, strict=True)):
        total = np.cumsum(np.pad(num, [(int(a == axis), 0) for a in range(3)]), axis=axis)
        num = np.take(total, starts + size, axis) - np.take(total, starts, axis)
    return num > 0


def _add_background(steps: Steps, votes: Array, starts: Int[np.ndarray, "n 3"]) -> Array:
    """Votes of windows without a body."""
    if len(starts):
        certain = steps.background()
        for start in starts:
            votes = steps.add(votes, certain, start[None], np.int32(1))
    return votes


def _are_decided(
    steps: Steps,
    plan: Plan,
    chunk: Chunk,
    votes: Array,
    starts: Int[np.ndarray, "n 3"],
    size: int,
) -> Bool[np.ndarray, " n"]:
    """Whether windows, `size` at most, are decided by the votes so far."""
    covers = plan.covers(chunk.first, plan.chunk_shape[0])
    ((some, num),) = _batches(starts, size)
    return np.asarray(steps.decided(votes, covers, some))[:num]


def _in_parts(
    starts: Int[np.ndarray, "n 3"], size: int
) -> Iterator[tuple[Int[np.ndarray, "p 3"], bool]]:
    """Starts, `size` at a time, and whether they are the last."""
    for i in range(0, len(starts), size):
        yield starts[i : i + size], i + size >= len(starts)


def _batches(
    starts: Int[np.ndarray, "n 3"], size: int
) -> Iterator[tuple[Int[np.ndarray, "b 3"], np.int32]]:
    """Starts in batches of one size, the last one filled up, and how many of each count."""
    for i in range(0, len(starts), size):
        some = starts[i : i + size]
        yield np.pad(some, ((0, size - len(some)), (0, 0))), np.int32(len(some))
