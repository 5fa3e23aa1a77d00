"""Where windows lie in a volume, and what sliding over it costs: known before anything runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from jax.sharding import NamedSharding
from numpy.typing import NDArray

from core import check

Shape = tuple[int, int, int]

# Device arrays grow in steps of this many voxels along H and W, so that volumes share compilations.
BUCKET = 128
# A chunk fills this many batches where the volume can: only the last of them runs part empty.
BATCHES_PER_CHUNK = 8


def starts(size: int, window: int, stride: int, *, even: bool = False) -> NDArray[np.int32]:
    """Window starts along one axis, the last one flush with the border.

    Args:
      size: voxels of the volume.
      window: voxels, at most `size`.
      stride: voxels, at most `window`, so that none is left out.
      even: spread the starts evenly, with at most `stride` between them, as nnU-Net does; else they
        are 0, stride, 2·stride, …

    Returns:
      (k,) starts. Size 100, window 64, stride 20: 0, 20, 36; evenly 0, 18, 36.

    Raises:
      ValueError: if the window does not fit or the stride leaves voxels out.
    """
    if not 0 < stride <= window <= size:
        raise ValueError(
            "expected 0 < stride <= window <= size; "
            f"got stride={stride}, window={window}, size={size}"
        )
    if even:
        num = -(-(size - window) // stride) + 1
        return np.rint(np.linspace(0, size - window, num)).astype(np.int32)
    return np.append(np.arange(0, size - window, stride), size - window).astype(np.int32)


def require_windows(
    window: Shape, stride: Shape, batch: int, sharding: NamedSharding | None
) -> None:
    """Refuse a stride that leaves voxels out, and a batch that the devices do not divide.

    Args:
      window: voxels of a window.
      stride: voxels between windows.
      batch: windows at a time.
      sharding: of the batch; None where one device has it all.

    Raises:
      ValueError: one of both.
    """
    for size, step in zip(window, stride, strict=True):
        starts(size, size, step)
    if sharding is not None:
        check.divisible("batch", (batch,), sharding.num_devices, "devices that share it")


def gaussian(window: int) -> NDArray[np.float32]:
    """Importance of the voxels of a window along one axis; over three axes the numbers multiply.

    A Gaussian around voxel window // 2 with σ = window / 8, 1 at its highest. Source: nnU-Net.
    """
    distance = np.arange(window) - window // 2
    return np.exp(-0.5 * (distance / (window / 8)) ** 2).astype(np.float32)


def gaussian_window(window: Shape) -> NDArray[np.float32]:
    """Importance of every voxel of a window, (d, h, w)."""
    d, h, w = map(gaussian, window)
    return d[:, None, None] * h[None, :, None] * w[None, None, :]


def cover(
    size: int, window: int, stride: int, *, even: bool = False, importance: str = "uniform"
) -> NDArray[np.float32]:
    """Importance that the windows over each voxel of an axis have together; it multiplies too.

    Returns:
      (size,). Size 5, window 3, stride 1: 1, 2, 3, 2, 1 windows.
    """
    profile = gaussian(window) if importance == "gaussian" else np.ones(window, np.float32)
    total = np.zeros(size, np.float32)
    for start in starts(size, window, stride, even=even):
        total[start : start + window] += profile
    return total


def largest_overlap(window: Shape, stride: Shape) -> int:
    """Bound on the windows over one voxel: the regular ones and the flush one, on each axis."""
    return prod(-(-w // s) + 1 for w, s in zip(window, stride, strict=True))


class Chunk(NamedTuple):
    """Window layers along D that share one array of sums.

    Args:
      first: slice of the volume at which the sums begin.
      done: slice up to which no later window reaches back: those before it are finished.
      starts: (n, 3) window starts, D counted from `first`.
    """

    first: int
    done: int
    starts: NDArray[np.int32]


@dataclass(frozen=True)
class Plan:
    """How a volume is cut into windows, batches and chunks, and what that costs.

    A 512×512×667 scan under windows of 64 with stride 20 has 32 layers of 24·24 windows. With a
    batch of 16 one layer is a chunk of its own; its sums for three classes take 64·512·512·3·4
    bytes = 201 MB, however many slices the scan has.

    Args:
      shape: (d, h, w) of the volume, at least a window.
      window: (d, h, w).
      stride: (d, h, w).
      batch: windows that the network takes at once.
      num_channels: of its input.
      num_classes: of its output.
      even: whether windows are spread evenly.
      importance: of the voxels of a window, "uniform" or "gaussian".
      least_layers: of windows along D that a chunk holds where the volume does.
    """

    shape: Shape
    window: Shape
    stride: Shape
    batch: int
    num_channels: int
    num_classes: int
    even: bool = False
    importance: str = "uniform"
    least_layers: int = 1

    def with_sums_of(self, num_bytes: int) -> "Plan":
        """Plan with chunks of as many layers as sums of `num_bytes` hold, with a count beside."""
        side = self.chunk_shape[1]
        slices = num_bytes // (4 * side**2 * (self.num_classes + 1))
        layers = 1 + max(0, slices - self.window[0]) // self.stride[0]
        return replace(self, least_layers=1 << (layers.bit_length() - 1))

    @cached_property
    def axes(self) -> tuple[NDArray[np.int32], ...]:
        """Window starts along D, H, W."""
        sizes = zip(self.shape, self.window, self.stride, strict=True)
        return tuple(starts(*axis, even=self.even) for axis in sizes)

    @property
    def counts(self) -> Shape:
        """Windows along D, H, W."""
        layers, rows, columns = map(len, self.axes)
        return layers, rows, columns

    @property
    def num_windows(self) -> int:
        """Windows of the volume."""
        return prod(self.counts)

    @property
    def num_batches(self) -> int:
        """Calls of the network."""
        return sum(-(-len(chunk.starts) // self.batch) for chunk in self.chunks())

    @property
    def layers_per_chunk(self) -> int:
        """Layers that fill `BATCHES_PER_CHUNK` batches, as a power of two to share compilations."""
        layers, rows, columns = self.counts
        filling = -(-BATCHES_PER_CHUNK * self.batch // (rows * columns))
        wanted = min(layers, max(self.least_layers, filling))
        return 1 << (wanted - 1).bit_length()

    @property
    def finished(self) -> int:
        """Slices that leave the device at once."""
        return self.layers_per_chunk * self.stride[0]

    @property
    def chunk_shape(self) -> Shape:
        """(d, side, side) of a chunk on the device; H and W in one size, rounded up to a bucket."""
        side = -(-max(self.shape[1:]) // BUCKET) * BUCKET
        return self.window[0] + self.finished - self.stride[0], side, side

    @property
    def device_bytes(self) -> int:
        """Bound on the float32 arrays on the device, without the network's own.

        Two chunks of image, the sums before and after a shift, two groups of finished slices (one
        on its way out), two batches of windows and of ballots (one waiting).
        """
        depth, side, _ = self.chunk_shape
        chunks = 2 * depth * side**2 * (self.num_channels + self.num_classes)
        outgoing = 2 * self.finished * side**2 * self.num_classes
        batches = 2 * self.batch * prod(self.window) * (self.num_channels + self.num_classes)
        return 4 * (chunks + outgoing + batches)

    def chunks(self) -> Iterator[Chunk]:
        """Chunks in order along D."""
        layers, rows, columns = self.axes
        for i in range(0, len(layers), self.layers_per_chunk):
            inside = layers[i : i + self.layers_per_chunk]
            following = layers[i + self.layers_per_chunk :]
            done = int(following[0]) if following.size else self.shape[0]
            points = np.meshgrid(inside - inside[0], rows, columns, indexing="ij")
            yield Chunk(int(inside[0]), done, np.stack(points, axis=-1).reshape(-1, 3))

    def covers(self, first: int, num_slices: int) -> tuple[NDArray[np.float32], ...]:
        """Importance over each voxel of `num_slices` slices from `first` on, by axis; 1 outside."""
        _, *sides = self.chunk_shape
        d, h, w = (
            cover(*axis, even=self.even, importance=self.importance)
            for axis in zip(self.shape, self.window, self.stride, strict=True)
        )
        kept = d[first : first + num_slices], h, w
        sizes = num_slices, *sides
        return tuple(
            np.pad(counts, (0, size - len(counts)), constant_values=1)
            for counts, size in zip(kept, sizes, strict=True)
        )
