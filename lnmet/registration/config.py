"""Every number of the registration, with its address."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from core import check
from lnmet.registration.deeds_config import DeedsConfig

MethodName = Literal["convexadam", "deeds"]


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


@dataclass(frozen=True)
class RegistrationConfig:
    """The arterial to the venous phase."""

    method: MethodName = "convexadam"
    """How the field is found (Sec. IV-A: DEEDS)"""
    convexadam: ConvexAdamConfig = field(default_factory=ConvexAdamConfig)
    """Numbers of ConvexAdam (Ref: ConvexAdam 0.2)"""
    deeds: DeedsConfig = field(default_factory=DeedsConfig)
    """Numbers of DEEDS (Sec. IV-A: DEEDS; Ref: deedsBCV)"""
    affine: bool = False
    """Find an affine map first, for scans that lie far apart; before DEEDS (Ref: linearBCV, which
    the paper does not name)"""
    spacing_mm: float = 2.0
    """Of the isotropic grid on which the phases are registered (Not stated: as fine as thick slices
    tell of; half of it takes eight times as long)"""
    margin_mm: float = 10.0
    """Around the body that both phases show (Not stated: the skin is a landmark too)"""
    multiple: int = 24
    """Voxels by which the sizes of that grid grow (Not stated: few shapes, few programs; both grid
    spacings of ConvexAdam divide it)"""
    body_hu: float = -400.0
    """Above which a voxel is patient, not air or lung (Not stated: half way to fat)"""
    min_overlap: float = 0.3
    """Share of the smaller body that both phases must show (Not stated: phases of one examination
    share far more, those of two patients seldom as much by chance)"""
    both_ways: bool = True
    """Register the venous to the arterial phase as well, to report how far the two fields are from
    undoing each other (Not stated: takes up to twice as long)"""

    def __post_init__(self) -> None:
        check.one_of("method", self.method, get_args(MethodName))
        if self.affine and self.method != "deeds":
            raise ValueError(f"affine goes before deeds; got method={self.method}")
        for name in ("spacing_mm", "multiple", "min_overlap"):
            check.positive(name, getattr(self, name))
        check.fraction("min_overlap", self.min_overlap)
        check.at_least("margin_mm", self.margin_mm, 0)
