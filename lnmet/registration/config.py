"""Every number of the registration, with its address."""

from dataclasses import dataclass

from core import check


@dataclass(frozen=True)
class ConvexAdamConfig:
    """ConvexAdam with MIND-SSC features, as the package `convexadam` has it by default."""

    mind_radius: int = 1
    """Of the patches that are compared, in voxels (Ref: ConvexAdam 0.2)"""
    mind_dilation: int = 2
    """Distance of the neighbours that are compared, in voxels (Ref: ConvexAdam 0.2)"""
    grid_spacing: int = 6
    """Voxels between the nodes of the discrete search (Ref: ConvexAdam 0.2)"""
    search_radius: int = 4
    """Of the discrete search along each axis, in nodes (Ref: ConvexAdam 0.2)"""
    couplings: tuple[float, ...] = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
    """Weights of the distance to the smoothed field, one pass each (Ref: ConvexAdam 0.2)"""
    consistency_iterations: int = 15
    """That make the fields of both directions undo each other (Ref: ConvexAdam 0.2)"""
    fine_grid_spacing: int = 2
    """Voxels between the nodes of the field that Adam refines (Ref: ConvexAdam 0.2)"""
    smoothness: float = 1.25
    """Weight of the squared differences between neighbouring nodes (Ref: ConvexAdam 0.2)"""
    iterations: int = 80
    """Of Adam; the field is the one before its last step (Ref: ConvexAdam 0.2)"""
    learning_rate: float = 1.0
    """Of Adam, in nodes (Ref: ConvexAdam 0.2)"""

    def __post_init__(self) -> None:
        for name in ("mind_radius", "mind_dilation", "grid_spacing", "search_radius"):
            check.positive(name, getattr(self, name))
        for name in ("fine_grid_spacing", "iterations", "learning_rate"):
            check.positive(name, getattr(self, name))
