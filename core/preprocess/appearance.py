"""What scans are like to a network, and how one differs from those that the network learned from.

A network was only ever shown what its training scans were like: a scan of voxels, organs or
intensities beyond these gets an answer as well, and nobody would see that it is a guess.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.volume import Volume

Axes = tuple[float, float, float]
"""Of (d, h, w), which are (z, y, x)."""
OWN_GRID: Axes = (0.0, 0.0, 0.0)
"""Spacing of a grid that no scan is resampled to: any other is coarser."""

SOFT_TISSUE_HU = (-150, 250)
"""Fat to enhanced vessels, without air and bone: how much of these a scan shows is its field's."""
PERCENTILES = (5, 50, 95)
"""Of soft tissue: fat, between fat and organs, enhanced organs and vessels."""

SPACING_FACTOR = 1.5
"""Beyond nnU-Net's augmentation, which makes things 0.7 to 1.4 times as large."""
EXTENT_FACTOR = 2.0
"""Half the field lacks organs that tell where the pancreas is; twice the field has others."""
HU_OFF = 50.0
"""Fat and build of patients move the median by as much; a contrast phase moves organs by more."""


class Appearance(NamedTuple):
    """What one scan is like.

    Args:
      spacing_mm: of its voxels (z, y, x).
      extent_mm: of its field of view (z, y, x).
      hu: `PERCENTILES` of its voxels within `SOFT_TISSUE_HU`; the lower bound where it has none.
    """

    spacing_mm: Axes
    extent_mm: Axes
    hu: Axes

    @classmethod
    def from_json(cls, stored: Mapping[str, Sequence[float]]) -> "Appearance":
        """Of what a file keeps, its `_asdict()`."""
        return cls(**{name: _axes(values) for name, values in stored.items()})


class Seen(NamedTuple):
    """What the scans that a network learned from are like.

    Args:
      least: of each number the least.
      most: the largest.
      grid_mm: spacing to which its scans are resampled; `OWN_GRID` where they keep their own.
    """

    least: Appearance
    most: Appearance
    grid_mm: Axes = OWN_GRID

    def to_json(self) -> dict[str, Any]:
        """What a run folder keeps."""
        sides = {"least": self.least._asdict(), "most": self.most._asdict()}
        return {**sides, "grid_mm": self.grid_mm}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Seen":
        """Of what a run folder keeps."""
        least, most = (Appearance.from_json(stored[side]) for side in ("least", "most"))
        return cls(least, most, _axes(stored["grid_mm"]))


def appearance_of(volume: Volume) -> Appearance:
    """What a scan is like, in one pass by slice.

    Args:
      volume: HU in canonical orientation.
    """
    low, high = SOFT_TISSUE_HU
    counts = np.zeros(high - low + 1, np.int64)
    for hu in volume.array:
        inside = hu[(hu > low) & (hu < high)]
        counts += np.bincount(np.rint(inside).astype(np.int64) - low, minlength=len(counts))
    below = np.cumsum(counts)
    places = np.searchsorted(below, np.array(PERCENTILES) / 100 * below[-1])
    extent = (n * mm for n, mm in zip(volume.shape, volume.spacing_mm, strict=True))
    return Appearance(_axes(volume.spacing_mm), _axes(extent), _axes(low + places))


def seen_in(scans: Sequence[Appearance], grid_mm: Axes) -> Seen | None:
    """Ranges over training scans; None where nothing is known of any.

    Args:
      scans: of the training.
      grid_mm: spacing to which they are resampled, or `OWN_GRID`.
    """
    if not scans:
        return None
    least, most = (
        Appearance(*(_axes(reduce(values, axis=0)) for values in zip(*scans, strict=True)))
        for reduce in (np.min, np.max)
    )
    return Seen(least, most, grid_mm)


def differences(scan: Appearance, seen: Seen) -> list[str]:
    """In what a scan is unlike those of a training, with the numbers of both; none if it is alike.

    Where scans are resampled, a spacing finer than that of the grid is as good as that.
    """
    told = []
    for measure, own, least, most in zip(_MEASURES, scan, seen.least, seen.most, strict=True):
        floor = seen.grid_mm if measure is _SPACING else (-np.inf,) * 3
        at, low, high = (measure.steps(np.maximum(v, floor)) for v in (own, least, most))
        if np.maximum(low - at, at - high).max() > 1:
            in_training = measure.text(least, most)
            told.append(f"{measure.name} of {measure.text(own, own)}, in training {in_training}")
    return told


class _Measure(NamedTuple):
    """A number of each axis, or percentile: how it is written, and how far it may lie off.

    Args:
      name: before the numbers.
      between: them.
      unit: after them.
      steps: values → places between which a distance of 1 is still alike.
    """

    name: str
    between: str
    unit: str
    steps: Callable[[np.ndarray], np.ndarray]

    def text(self, least: Axes, most: Axes) -> str:
        """Numbers, or ranges: "1 × 0.7 … 0.9 × 0.7 … 0.9 mm"."""
        pairs = ((f"{a:.3g}", f"{b:.3g}") for a, b in zip(least, most, strict=True))
        numbers = self.between.join(a if a == b else f"{a} … {b}" for a, b in pairs)
        return f"{numbers} {self.unit}"


_SPACING = _Measure("voxels", " × ", "mm", lambda mm: np.log(mm) / np.log(SPACING_FACTOR))
_EXTENT = _Measure("a field", " × ", "mm", lambda mm: np.log(mm) / np.log(EXTENT_FACTOR))
_HU = _Measure("soft tissue", ", ", "HU", lambda hu: hu / HU_OFF)
_MEASURES = (_SPACING, _EXTENT, _HU)
"""Of each field of `Appearance`."""


def _axes(values: Iterable[float]) -> Axes:
    z, y, x = (float(value) for value in values)
    return z, y, x
