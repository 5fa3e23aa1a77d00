"""Programs that answer about a volume of any size, to be written by `core.infer.export`.

`core.infer.sliding` and `core.infer.voting` move parts of a volume between host and device. Here
one program has all of it, windows and sums: whoever runs it gives a volume and gets the answer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import max_dim
from jax.export import symbolic_shape
from jaxtyping import Array, Float, Int, Num

from core import check
from core.infer import ballots, grid, sliding, voting
from core.infer.export import Program
from core.infer.grid import Shape

LARGEST = 2048
"""Most voxels along an axis: for every size up to this one it is tabulated where windows start."""

Ask = Callable[[Any, Float[Array, "n d h w c"]], Num[Array, "n d h w v"]]
"""(variables, windows) → ballots."""
Sizes = Sequence[Any]
"""Voxels of an axis, whole numbers or symbols of `jax.export`."""


def sliding_program(
    variables: Any,
    *,
    stride: Shape,
    batch: int,
    fill: Sequence[float],
    even: bool = False,
    mirrored: Sequence[int] = (),
    **windows: Any,
) -> Program:
    """Class probabilities (d, h, w, k) of a volume (d, h, w, c), as `core.infer.sliding` has them.

    Args:
      variables: of the network.
      stride: voxels between windows.
      batch: windows at a time.
      fill: what a volume smaller than a window is padded with, for each of its channels.
      even: spread windows evenly.
      mirrored: axes over whose mirrorings a window is averaged.
      **windows: the others of the arguments of `core.infer.sliding.predictor`, which averages.

    Raises:
      ValueError: `combine` is anything but "average".
    """
    check.one_of("combine", windows["combine"], ("average",))
    ask = sliding.asking(mirrored=mirrored, **windows)
    window, importance = windows["window"], windows.get("importance", "uniform")
    places = [Places(w, s, even, importance) for w, s in zip(window, stride, strict=True)]
    of_all = _over_mirrorings(ask, mirrored, windows["num_classes"])

    def answer(variables: Any, image: Float[Array, "d h w c"]) -> Float[Array, "d h w k"]:
        padded = _padded(image, window, fill)
        nothing = jnp.zeros((*padded.shape[:3], windows["num_classes"]), jnp.float32)
        sums = _sums(of_all, variables, padded, places, batch, nothing)
        sizes = padded.shape[:3]
        d, h, w = (place.cover(n) for place, n in zip(places, sizes, strict=True))
        covers = d[:, None, None] * h[None, :, None] * w[None, None, :]
        return _inside(sums / covers[..., None], image)

    return Program(answer, variables, [_volume(len(fill))])


def voting_program(
    variables: Any, *, stride: Shape, batch: int, fill: float, **windows: Any
) -> Program:
    """Votes (d, h, w, k) of a volume (d, h, w, 1), whole numbers: the label has most of them.

    Args:
      variables: of the network.
      stride: voxels between windows.
      batch: windows at a time.
      fill: what a volume smaller than a window is padded with.
      **windows: apply, window and num_classes of `core.infer.voting.voter`.
    """
    window = windows["window"]
    of = ballots.ballot(grid.largest_overlap(window, stride))
    ask = voting.asking(windows["apply"], windows["num_classes"], of)
    places = [Places(w, s) for w, s in zip(window, stride, strict=True)]

    def answer(variables: Any, image: Float[Array, "d h w 1"]) -> Int[Array, "d h w k"]:
        padded = _padded(image, window, [fill])
        # The last channel counts windows.
        nothing = jnp.zeros((*padded.shape[:3], windows["num_classes"] + 1), jnp.int32)
        votes = _sums(ask, variables, padded, places, batch, nothing)
        return _inside(votes[..., :-1], image)

    return Program(answer, variables, [_volume(1)])


class Places:
    """Where windows lie along an axis of a size that is known only when the program runs.

    Args:
      window: voxels.
      stride: voxels between starts.
      even: as of `core.infer.grid.starts`.
      importance: as of `core.infer.grid.cover`.
    """

    def __init__(
        self, window: int, stride: int, even: bool = False, importance: str = "uniform"
    ) -> None:
        self.window, self.stride = window, stride
        self._table = _tabulated(window, stride) if even else None
        uniform = np.ones(window, np.float32)
        self._profile = grid.gaussian(window) if importance == "gaussian" else uniform

    def num(self, size: Any) -> Any:
        """How many."""
        return (size - self.window + self.stride - 1) // self.stride + 1

    def starts(self, size: Any) -> Int[Array, " m"]:
        """Where they start; evenly spread ones have zeros behind them."""
        if self._table is None:
            return jnp.minimum(jnp.arange(self.num(size)) * self.stride, size - self.window)
        return jnp.asarray(self._table)[jnp.int32(size - self.window)].astype(jnp.int32)

    def cover(self, size: Any) -> Float[Array, " size"]:
        """Importance that the windows over each voxel have together."""
        starts, profile = self.starts(size), jnp.asarray(self._profile)

        def add(i: Array, total: Array) -> Array:
            there = lax.dynamic_slice(total, (starts[i],), (self.window,))
            return lax.dynamic_update_slice(total, there + profile, (starts[i],))

        return lax.fori_loop(0, self.num(size), add, jnp.zeros((size,), jnp.float32))


def _tabulated(window: int, stride: int) -> Int[np.ndarray, "sizes m"]:
    """Evenly spread starts for every size: nnU-Net rounds them in float64, programs have none."""
    rows = [grid.starts(n, window, stride, even=True) for n in range(window, LARGEST + 1)]
    table = np.zeros((len(rows), len(rows[-1])), np.int16)
    for row, starts in zip(table, rows, strict=True):
        row[: len(starts)] = starts
    return table


def _over_mirrorings(ask: sliding.Ask, mirrored: Sequence[int], num_classes: int) -> Ask:
    """All mirrorings of a window together."""
    flags = jnp.array(sliding.mirrorings(mirrored), bool)

    def ask_all(variables: Any, windows: Float[Array, "n d h w c"]) -> Float[Array, "n d h w k"]:
        def add(total: Array, are_mirrored: Array) -> tuple[Array, None]:
            return total + ask(variables, windows, are_mirrored), None

        # One after the other: the network stands in the program once.
        nothing = jnp.zeros((*windows.shape[:-1], num_classes), jnp.float32)
        return lax.scan(add, nothing, flags)[0]

    return ask_all if mirrored else lambda variables, windows: ask(variables, windows, flags[0])


def _sums(
    ask: Ask,
    variables: Any,
    image: Float[Array, "d h w c"],
    places: Sequence[Places],
    batch: int,
    nothing: Num[Array, "d h w v"],
) -> Num[Array, "d h w v"]:
    """Ballots of all windows, added up in the order of their places."""
    sizes, (d, h, w) = image.shape[:3], (place.window for place in places)
    axes = [place.starts(n) for place, n in zip(places, sizes, strict=True)]
    _, rows, columns = nums = [place.num(n) for place, n in zip(places, sizes, strict=True)]
    total = nums[0] * rows * columns

    def add(i: Array, sums: Num[Array, "d h w v"]) -> Num[Array, "d h w v"]:
        number = i * batch + jnp.arange(batch)
        indices = number // (rows * columns), number // columns % rows, number % columns
        starts = jnp.stack([axis[k] for axis, k in zip(axes, indices, strict=True)], axis=-1)
        ballots = ask(variables, sliding.cut(image, starts, window=(d, h, w)))
        # Of the last batch those that are beyond the last window do not count.
        return sliding.add(sums, ballots, starts, jnp.minimum(batch, total - i * batch))

    return lax.fori_loop(0, (total + batch - 1) // batch, add, nothing)


def _volume(num_channels: int) -> jax.ShapeDtypeStruct:
    limits = [f"{axis} <= {LARGEST}" for axis in "dhw"]
    shape = symbolic_shape("d, h, w", constraints=limits)
    return jax.ShapeDtypeStruct((*shape, num_channels), jnp.float32)


def _padded(
    image: Float[Array, "d h w c"], window: Shape, fill: Sequence[float]
) -> Float[Array, "e i j c"]:
    """At least as large as a window, as `core.preprocess.crop.pad_to` does it."""
    sizes = image.shape[:3]
    shape = tuple(max_dim(n, w) for n, w in zip(sizes, window, strict=True))
    around = jnp.broadcast_to(jnp.asarray(fill, jnp.float32), (*shape, image.shape[-1]))
    return lax.dynamic_update_slice(around, image, (*_before(shape, sizes), 0))


def _inside(padded: Num[Array, "e i j v"], image: Float[Array, "d h w c"]) -> Num[Array, "d h w v"]:
    """What was padded, without the padding."""
    sizes = image.shape[:3]
    starts = (*_before(padded.shape[:3], sizes), 0)
    return lax.dynamic_slice(padded, starts, (*sizes, padded.shape[-1]))


def _before(padded: Sizes, sizes: Sizes) -> list[Any]:
    """Voxels of padding in front."""
    return [(a - b) // 2 for a, b in zip(padded, sizes, strict=True)]
