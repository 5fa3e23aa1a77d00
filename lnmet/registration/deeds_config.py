"""Numbers of DEEDS."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core import check


class Level(NamedTuple):
    """One of the levels, coarse to fine; lengths in voxels.

    Args:
      grid: side of a block of voxels; each block is a node of the field.
      radius: displacements searched to each side of the current one, in steps.
      step: between the displacements searched.
      alpha: weight of smoothness.
    """

    grid: int
    radius: int
    step: int
    alpha: float

    @property
    def labels_per_axis(self) -> int:
        """2L + 1: displacements searched along an axis."""
        return 2 * self.radius + 1

    @property
    def descriptor_step(self) -> int:
        """Radius and dilation of the descriptors, growing with the step."""
        return self.step // 2 + 1

    @property
    def sample_stride(self) -> int:
        """Of the voxels of a block that are compared, along the first two axes."""
        return 2 if self.grid > 4 else 1

    def nodes(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Whole blocks along each axis of a volume."""
        return tuple(size // self.grid for size in shape)


@dataclass(frozen=True)
class DeedsConfig:
    """DEEDS: levels from coarse to fine, and the weight of images against smoothness."""

    grid: tuple[int, ...] = (8, 7, 6, 5, 4)
    """Side of a block by level, in voxels (Ref: deedsBCV)"""
    radius: tuple[int, ...] = (8, 7, 6, 5, 4)
    """Displacements searched to each side, by level, in steps (Ref: deedsBCV)"""
    step: tuple[int, ...] = (5, 4, 3, 2, 1)
    """Between the displacements searched, by level, in voxels (Ref: deedsBCV)"""
    alpha: float = 1.6
    """Of smoothness; a larger one makes the field smoother (Ref: deedsBCV)"""

    def __post_init__(self) -> None:
        _check_levels(self)
        check.positive("alpha", self.alpha)

    def levels(self) -> list[Level]:
        """The levels, coarse to fine."""
        levels = zip(self.grid, self.radius, self.step, strict=True)
        return [Level(*level, self.alpha) for level in levels]


@dataclass(frozen=True)
class AffineConfig:
    """The affine map before DEEDS: levels from coarse to fine, and what is no tissue."""

    grid: tuple[int, ...] = (7, 6, 5, 4)
    """Side of a block by level, in voxels (Ref: linearBCV)"""
    radius: tuple[int, ...] = (5, 4, 3, 2)
    """Displacements searched to each side, by level, in steps (Ref: linearBCV)"""
    step: tuple[int, ...] = (4, 3, 2, 1)
    """Between the displacements searched, by level, in voxels (Ref: linearBCV)"""
    air_hu: float = -1024.0
    """Beyond the border; blocks whose mean is within 5 HU of it are left out (Ref: linearBCV)"""
    rounds: int = 15
    """Of fitting the map to the half of the blocks that it suits best (Ref: linearBCV)"""

    def __post_init__(self) -> None:
        _check_levels(self)
        check.positive("rounds", self.rounds)

    def levels(self) -> list[Level]:
        """The levels, coarse to fine; nothing is smooth here, so any alpha will do."""
        levels = zip(self.grid, self.radius, self.step, strict=True)
        return [Level(*level, alpha=1.0) for level in levels]


def _check_levels(cfg: DeedsConfig | AffineConfig) -> None:
    """Refuse levels that do not belong together."""
    if not len(cfg.grid) == len(cfg.radius) == len(cfg.step) > 0:
        raise ValueError(
            "grid, radius and step must have one entry for each level; "
            f"got {cfg.grid}, {cfg.radius} and {cfg.step}"
        )
    if min(*cfg.grid, *cfg.radius, *cfg.step) < 1:
        raise ValueError(
            f"grid, radius and step must be positive; got {cfg.grid}, {cfg.radius} and {cfg.step}"
        )
