"""A scan in space: voxels in (D, H, W) order and where each of them lies in the patient; a frame.

Axis 0 is D, 1 is H, 2 is W everywhere. Physical points are (x, y, z) millimetres in LPS (x to the
patient's left, y to the back, z to the head), as in DICOM; NIfTI's RAS differs by the sign of x, y.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: the brightness of red, green and blue

# (D, H, W) run to the head, to the back, to the left: rows and columns as radiologists see them.
CANONICAL_DIRECTION = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Volume:
    """Voxels with their geometry.

    Args:
      array: voxels (D, H, W).
      spacing_mm: distance between neighbouring voxel centres along (D, H, W).
      origin_mm: LPS position (x, y, z) of the centre of voxel (0, 0, 0).
      direction: (3, 3); column a is the LPS unit vector along which index a grows.
    """

    array: NDArray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.array.ndim != 3:
            raise ValueError(f"a volume has 3 axes (D, H, W); got shape {self.array.shape}")
        if not all(s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive; got {self.spacing_mm}")
        if abs(np.linalg.det(self.direction)) < 1e-3:
            raise ValueError(f"direction must be invertible; got {self.direction.tolist()}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W)."""
        return self.array.shape  # type: ignore[return-value]

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel, also for sheared grids."""
        return float(np.prod(self.spacing_mm) * abs(np.linalg.det(self.direction)))

    @property
    def affine_lps(self) -> NDArray[np.float64]:
        """(4, 4) matrix from (d, h, w, 1) to LPS millimetres."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * np.asarray(self.spacing_mm)
        affine[:3, 3] = self.origin_mm
        return affine

    def with_array(self, array: NDArray) -> "Volume":
        """Same grid, other voxels (a mask, a probability map)."""
        if array.shape != self.array.shape:
            raise ValueError(f"array {array.shape} does not fit the grid {self.array.shape}")
        return replace(self, array=array)


class Region(NamedTuple):
    """A rectangle of a screen that has a scale of its own.

    Args:
      rows: its first row, and the one after its last.
      columns: likewise.
      spacing_mm: as of a `Frame`.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    spacing_mm: tuple[float, float]


SAME_SCALE = 1e-3
"""Share by which scales may differ that were rounded differently."""


def same_scale(regions: Sequence[Region]) -> bool:
    """Whether regions have one scale."""
    spacings = np.array([region.spacing_mm for region in regions])
    return bool((np.ptp(spacings, axis=0) <= SAME_SCALE * spacings.min(axis=0)).all())


@dataclass(frozen=True)
class Frame:
    """One picture of an ultrasound machine, alone or out of a clip.

    Args:
      array: uint8 pixels, gray (H, W) or RGB (H, W, 3).
      spacing_mm: distance between neighbouring pixel centres along (H, W); None if not known, or
        not the same in all regions.
      time_s: since the first frame of its clip; None for a still, or if not known.
      regions: where on the screen distances are known; none where the screen is one picture.
    """

    array: NDArray[np.uint8]
    spacing_mm: tuple[float, float] | None = None
    time_s: float | None = None
    regions: tuple[Region, ...] = ()

    def __post_init__(self) -> None:
        if self.array.dtype != np.uint8:
            raise ValueError(f"a frame has uint8 pixels; got {self.array.dtype}")
        if self.array.ndim not in (2, 3) or self.array.shape[2:] not in ((), (3,)):
            raise ValueError(f"a frame is (H, W) or (H, W, 3); got shape {self.array.shape}")
        if self.spacing_mm is not None and not all(s > 0 for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be positive; got {self.spacing_mm}")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        return self.array.shape[:2]  # type: ignore[return-value]

    def gray(self) -> NDArray[np.uint8]:
        """Brightness (H, W): 0.299 R + 0.587 G + 0.114 B, which is R where all three are equal."""
        if self.array.ndim == 2:
            return self.array
        return np.rint(self.array @ np.array(LUMA)).astype(np.uint8)


def from_affine_lps(array: NDArray, affine: NDArray) -> Volume:
    """Volume of an array (D, H, W) and its (4, 4) index-to-LPS matrix."""
    columns = np.asarray(affine, np.float64)[:3, :3]
    spacing = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(affine).all() and (spacing > 0).all()):
        raise ValueError(f"affine has a zero or non-finite axis: {np.asarray(affine).tolist()}")
    z, y, x = (float(s) for s in spacing)
    ox, oy, oz = (float(o) for o in np.asarray(affine)[:3, 3])
    return Volume(array, (z, y, x), (ox, oy, oz), columns / spacing)


def orientation(volume: Volume) -> str:
    """Where D, H, W point, one letter each of L/R, P/A, S/I: canonical is "SPL"."""
    letters = ("LR", "PA", "SI")
    axes, signs = _closest_axes(volume.direction)
    return "".join(letters[a][0 if s > 0 else 1] for a, s in zip(axes, signs, strict=True))


def canonical(volume: Volume) -> Volume:
    """Permute and flip axes, without interpolation, so that (D, H, W) run to (S, P, L)."""
    return reorient(volume, CANONICAL_DIRECTION)


def reorient(volume: Volume, direction: NDArray) -> Volume:
    """Permute and flip axes so that each lies closest to the same column of `direction`.

    Inverse of itself: `reorient(reorient(v, d), v.direction)` equals `v`.
    """
    axes, signs = _closest_axes(volume.direction)
    target_axes, target_signs = _closest_axes(direction)
    order = [axes.index(a) for a in target_axes]
    flips = [signs[o] != s for o, s in zip(order, target_signs, strict=True)]
    affine = volume.affine_lps[:, [*order, 3]]
    array = volume.array.transpose(order)
    for axis, flip in enumerate(flips):
        if flip:
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
            array = np.flip(array, axis)
    return from_affine_lps(array, affine)


def same_grid(a: Volume, b: Volume, *, tolerance_voxels: float = 0.5) -> bool:
    """Whether corresponding corners of two grids lie within a fraction of a voxel of each other."""
    if a.shape != b.shape:
        return False
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in a.shape], indexing="ij"), -1).reshape(
        -1, 3
    )
    points = np.c_[corners, np.ones(len(corners))]
    offset_mm = np.linalg.norm((points @ (a.affine_lps - b.affine_lps).T)[:, :3], axis=1)
    return bool(offset_mm.max() <= tolerance_voxels * min(a.spacing_mm))


def _closest_axes(direction: NDArray) -> tuple[list[int], list[int]]:
    """For each array axis, the patient axis (0 = x, 1 = y, 2 = z) it runs along and its sign.

    Axes are given out best fit first, so an oblique direction never uses a patient axis twice.
    """
    cosines = np.abs(np.asarray(direction, np.float64)).copy()
    axes, signs = [0, 0, 0], [1, 1, 1]
    for _ in range(3):
        patient, array = np.unravel_index(int(np.argmax(cosines)), (3, 3))
        axes[array] = int(patient)
        signs[array] = 1 if direction[patient, array] > 0 else -1
        cosines[patient, :] = cosines[:, array] = -1.0
    return axes, signs
