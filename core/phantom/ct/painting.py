"""Painting solids into voxels with soft edges, later strokes over earlier ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import Array, Points, Solid, lattice
from core.phantom.ct.tissue import PHASES, TISSUES


@dataclass(frozen=True)
class Stroke:
    """One solid filled with one tissue.

    Args:
      solid: where.
      tissue: a key of `TISSUES`, or None to leave the attenuation as it is.
      label: name of the structure, or None to leave the labels as they are.
      clearance_mm: fat laid around the solid first, so that neighbours do not fuse.
      thin_mm: radius of something that may be thinner than a voxel, and so fade in it.
      blur_mm: width of a border that is soft by nature (an infiltrating tumor).
    """

    solid: Solid
    tissue: str | None
    label: str | None = None
    clearance_mm: float = 0.0
    thin_mm: float | None = None
    blur_mm: float = 0.0
    mottle: Callable[[Points], Array] | None = field(default=None, repr=False)


def stroke(
    patient: Patient, solid: Solid, tissue: str, label: str | None = None, **kwargs
) -> Stroke:
    """Stroke with a tissue texture that is fixed to the patient, independent of the voxel grid."""
    kind = TISSUES[tissue]
    if not kind.mottle_hu:
        return Stroke(solid, tissue, label, **kwargs)
    low, high = np.clip(solid.low, -300, 300), np.clip(solid.high, -300, 300)
    rng = patient.stream(f"mottle {tissue} {np.round(solid.low + solid.high, 3).tolist()}")
    return Stroke(solid, tissue, label, mottle=lattice(rng, low, high, kind.mottle_mm), **kwargs)


class Canvas:
    """Attenuation (phase, D, H, W) and labels (D, H, W) of a box of points, as they are painted.

    Args:
      points: where the voxels are.
      edge_mm: width over which a border fades from one tissue to the next.
      hu: attenuation of each tissue in each phase.
      ids: label value of each structure; 0 is the background.
    """

    def __init__(
        self,
        points: Points,
        edge_mm: float,
        hu: Mapping[str, Sequence[float]],
        ids: Mapping[str, int],
    ) -> None:
        self.points, self.edge_mm, self.ids = points, edge_mm, ids
        self.tissue_hu = hu
        shape = points.x.shape
        self.label = np.zeros(shape, np.uint8)
        self.hu = np.empty((len(PHASES), *shape), np.float32)
        self.hu[:] = np.reshape(hu["air"], (-1, 1, 1, 1))

    def paint(self, stroke: Stroke) -> None:
        """Blend a stroke over the attenuation and labels painted so far."""
        solid, edge = stroke.solid, self.edge_mm + stroke.blur_mm
        reach = stroke.clearance_mm + edge
        index, near = self.points.within(solid.low - reach, solid.high + reach)
        if not near.x.size:
            return
        distance = solid.distance(near)
        if stroke.tissue is not None:
            self._fill(stroke, stroke.tissue, index, near, distance)
        if stroke.label is not None:
            self.label[index][distance < 0] = self.ids[stroke.label]

    def _fill(
        self, stroke: Stroke, tissue: str, index: tuple, near: Points, distance: Array
    ) -> None:
        """Blend its tissue over the attenuation, and fat around it."""
        edge = self.edge_mm + stroke.blur_mm
        if stroke.clearance_mm:
            self._clear(index, distance - np.float32(stroke.clearance_mm))
        cover = np.clip(0.5 - distance / edge, 0, 1)
        if stroke.thin_mm is not None:
            # The share of a soft-edged tube's cross-section that the tube itself fills.
            cover *= stroke.thin_mm**2 / (stroke.thin_mm**2 + edge**2 / 12)
        mottle = np.zeros((), np.float32)
        if stroke.mottle is not None:
            mottle = TISSUES[tissue].mottle_hu * stroke.mottle(near)
        self._blend(index, cover, tissue, mottle)

    def _blend(self, index: tuple, cover: Array, tissue: str, mottle: Array) -> None:
        for phase, value in enumerate(self.tissue_hu[tissue]):
            view = self.hu[(phase, *index)]
            view += cover * (np.float32(value) + mottle - view)

    def _clear(self, index: tuple, distance: Array) -> None:
        """Replace a margin around the next stroke by visceral fat."""
        cover = np.clip(0.5 - distance / self.edge_mm, 0, 1)
        self._blend(index, cover, "visceral fat", np.zeros((), np.float32))
        self.label[index][distance < 0] = self.ids["body"]
