"""The way from a scan's own grid to one of another spacing, and each step back beside it."""

from math import ceil, floor, prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, Real, UInt

from core.preprocess.crop import Box
from core.preprocess.resample import Shape, coarse_axis, resample_image, resample_label, shape_at
from core.preprocess.resample_back import label_on, value_on

Spacing = tuple[float, float, float]


class Regrid(NamedTuple):
    """Two grids over one volume.

    Args:
      own: voxels (d, h, w) of the scan.
      own_mm: their spacing.
      wanted_mm: spacing of the other grid, to within the rounding of its voxels' number.
    """

    own: Shape
    own_mm: Spacing
    wanted_mm: Spacing

    @property
    def shape(self) -> Shape:
        """Voxels of the other grid."""
        return shape_at(self.own, self.own_mm, self.wanted_mm)

    @property
    def spacing_mm(self) -> Spacing:
        """Of the other grid: both cover the same volume."""
        sizes = zip(self.own, self.own_mm, self.shape, strict=True)
        depth, height, width = (n * mm / m for n, mm, m in sizes)
        return depth, height, width

    @property
    def coarsening(self) -> float:
        """Voxels of the scan's own grid for each of the other."""
        return prod(self.own) / prod(self.shape)

    def image(self, array: Real[np.ndarray, "d h w"]) -> Float[np.ndarray, "e i j"]:
        """Values on the other grid, by cubic splines, float32."""
        return resample_image(array, self.shape, axis=coarse_axis(self.own_mm, self.wanted_mm))

    def label(self, ids: Integer[np.ndarray, "d h w"]) -> Integer[np.ndarray, "e i j"]:
        """Ids on the other grid: of each voxel the one that covers most of it."""
        return resample_label(ids, self.shape, axis=coarse_axis(self.own_mm, self.wanted_mm))

    def label_back(self, probs: Float[np.ndarray, "e i j k"]) -> UInt[np.ndarray, "d h w"]:
        """Most probable classes on the scan's own grid."""
        return label_on(probs, self.own, axis=coarse_axis(self.wanted_mm, self.own_mm))

    def ids_back(self, ids: Integer[np.ndarray, "e i j"]) -> Integer[np.ndarray, "d h w"]:
        """Ids on the scan's own grid: of each voxel the one that covers most of it."""
        return resample_label(ids, self.own, axis=coarse_axis(self.wanted_mm, self.own_mm))

    def value_back(self, values: Float[np.ndarray, "e i j"]) -> Float[np.ndarray, "d h w"]:
        """A map on the scan's own grid."""
        return value_on(values, self.own, axis=coarse_axis(self.wanted_mm, self.own_mm))

    def box_back(self, box: Box) -> Box:
        """Smallest box of the scan's own voxels that holds a box of the other grid."""
        scales = [n / m for n, m in zip(self.own, self.shape, strict=True)]
        start = tuple(floor(a * scale) for a, scale in zip(box.start, scales, strict=True))
        ends = zip(box.stop, scales, self.own, strict=True)
        return Box(start, tuple(min(n, ceil(b * scale)) for b, scale, n in ends))
