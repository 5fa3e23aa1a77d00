"""What a trained nnU-Net wants of an image and gives for it, of either version.

`plans_v1` and `plans_v2` read it. What nnU-Net offers and this house does not run (two dimensions,
cascades, overlapping regions, other networks and resamplings) is refused there, by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from core.errors import InputError
from core.nn.unet import Axes, UNetPlan
from core.preprocess.fingerprint import Intensities

MODEL_HINT = "give a 3d_fullres or 3d_lowres model of nnU-Net's own networks"

MAX_LABELS = 255
"""Label maps are uint8."""


class Channel(NamedTuple):
    """One image of a case."""

    name: str
    scheme: str
    """How it is normalized: "CT", "z-score", "rescale" (to 0 … 1) or "none"."""
    masked: bool
    """Whether what lies outside of the nonzero region counts for nothing, and is 0 afterwards."""
    foreground: Intensities | None
    """Of the training set; "CT" needs it."""


@dataclass(frozen=True)
class Plans:
    """A trained network's surroundings.

    Args:
      version: 1 or 2; they differ in the order of steps and in what is averaged.
      network: shape of the U-Net.
      patch: voxels of a window (d, h, w), in the order of `transpose`.
      spacing_mm: that images are resampled to, in the order of `transpose`.
      channels: the images of a case, in order.
      labels: name → id of the classes; the ids are 0 (background), 1, 2, ….
      transpose: axes of an image, in the order in which the network sees them.
      reorients: whether images are first turned to R, A, S; else they are as their files have them.
      ignore_label: of voxels that the training left out; never predicted. None without one.
    """

    version: int
    network: UNetPlan
    patch: Axes
    spacing_mm: tuple[float, float, float]
    channels: tuple[Channel, ...]
    labels: Mapping[str, int]
    transpose: Axes = (0, 1, 2)
    reorients: bool = False
    ignore_label: int | None = None

    def __post_init__(self) -> None:
        ids = sorted(self.labels.values())
        if ids != list(range(min(len(ids), MAX_LABELS))):
            raise ValueError(f"labels must be 0, 1, 2, … 254; got {dict(self.labels)}")
        if sorted(self.transpose) != [0, 1, 2]:
            raise ValueError(f"transpose must order three axes; got {self.transpose}")
        for size, factor in zip(self.patch, self.network.downsampling, strict=True):
            if size % factor:
                raise ValueError(f"patch {self.patch} is not divided by the strides, {factor}")
        if any(c.scheme == "CT" and c.foreground is None for c in self.channels):
            raise ValueError("CT needs intensities of the foreground")


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Turn what goes wrong with plans that lack or garble an entry into a line about their file."""
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"plans that are not understood: {reason}", path=path) from None


def require(holds: bool, found: str, path: Path) -> None:
    """Refuse a model for what was found in it."""
    if not holds:
        raise InputError(found, path=path, hint=MODEL_HINT)


def require_three_axes(patch: Sequence[int], path: Path) -> None:
    """Refuse a network of slices."""
    require(len(patch) == 3, f"a network of {len(patch)} dimensions", path)


def scheme(name: str, known: Mapping[str, str], path: Path) -> str:
    """Our name of a normalization."""
    if name not in known:
        hint = f"known are {', '.join(known)}"
        raise InputError(f"normalizes by {name!r}, which is not known", path=path, hint=hint)
    return known[name]


def axes(value: Any) -> Axes:
    """Three whole numbers."""
    depth, height, width = (int(v) for v in value)
    return depth, height, width


def spacing(value: Any) -> tuple[float, float, float]:
    """Three numbers."""
    depth, height, width = (float(v) for v in value)
    return depth, height, width


def intensities(properties: Mapping[str, Any], std: str) -> Intensities:
    """Of the foreground, whose standard deviation has another name in each version."""
    names = "percentile_00_5", "percentile_99_5", "mean", std
    return Intensities(*(float(properties[name]) for name in names))
