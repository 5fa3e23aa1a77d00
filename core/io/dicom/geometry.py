"""Grid of a DICOM series from slice positions, and why a series has no regular grid.

A segmentation has to be written on the grid of its source, so nothing is resampled here: a series
without a regular grid is refused, and the reason states by how many millimetres it deviates.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.io.dicom.slice_header import SliceHeader
from core.volume import Volume, from_affine_lps

SAME_POSITION_MM = 1e-3
MAX_TILT_DEG = 0.5
GAP_FACTOR = 1.5  # a distance above this many usual ones means that a slice is missing


def normal(frame: SliceHeader) -> NDArray[np.float64]:
    """Slice normal, an LPS unit vector: row direction × column direction."""
    vector = np.cross(frame.orientation[:3], frame.orientation[3:])
    return vector / np.linalg.norm(vector)


def height_mm(frame: SliceHeader, axis: NDArray[np.float64]) -> float:
    """Position of a slice along the normal, by which slices are sorted."""
    return float(np.dot(frame.position_mm, axis))


def problem(frames: Sequence[SliceHeader]) -> str:
    """Why sorted frames (at least two) form no regular grid; empty where they do."""
    axis = normal(frames[0])
    columns, rows = np.array(frames[0].orientation).reshape(2, 3)
    lengths = [np.linalg.norm(columns), np.linalg.norm(rows)]
    if not np.allclose([*lengths, np.dot(columns, rows)], [1, 1, 0], atol=1e-3):
        return "its rows and columns are not perpendicular unit vectors"
    if not min(frames[0].spacing_mm) > 0:
        return "its pixel spacing is not positive"
    heights = np.array([height_mm(f, axis) for f in frames])
    steps = np.diff(heights)
    if (steps < SAME_POSITION_MM).any():
        return _repeated(heights)
    reasons = [_tilt(frames, axis), _spacing(heights, steps)]
    return "; ".join(r for r in reasons if r) or _straightness(frames)


def grid(frames: Sequence[SliceHeader]) -> Volume:
    """Geometry of sorted frames, with voxels that take no memory."""
    first, last = frames[0], frames[-1]
    affine = np.eye(4)
    affine[:3, 0] = np.subtract(last.position_mm, first.position_mm) / (len(frames) - 1)
    affine[:3, 1] = np.multiply(first.orientation[3:], first.spacing_mm[0])
    affine[:3, 2] = np.multiply(first.orientation[:3], first.spacing_mm[1])
    affine[:3, 3] = first.position_mm
    return from_affine_lps(np.broadcast_to(np.uint8(0), (len(frames), *first.size)), affine)


def repeats(frames: Sequence[SliceHeader]) -> bool:
    """Whether two of sorted frames share a position."""
    axis = normal(frames[0])
    return bool((np.diff([height_mm(f, axis) for f in frames]) < SAME_POSITION_MM).any())


def _repeated(heights: NDArray) -> str:
    """How many slices are not alone at their position, and at how many positions."""
    starts = np.flatnonzero(np.diff(heights, prepend=-np.inf) >= SAME_POSITION_MM)
    counts = np.diff(starts, append=len(heights))
    num, places = counts[counts > 1].sum(), np.count_nonzero(counts > 1)
    where = "a position" if places == 1 else f"{places} positions"
    first_mm = heights[starts[counts > 1][0]]
    return f"{num} slices share {where}: the first pair is at {first_mm:.2f} mm along the normal"


def _tilt(frames: Sequence[SliceHeader], axis: NDArray) -> str:
    """The header's tilt angle differs in sign and presence by vendor; the positions do not."""
    step = np.subtract(frames[-1].position_mm, frames[0].position_mm)
    sideways = np.linalg.norm(step - np.dot(step, axis) * axis)
    angle = np.degrees(np.arctan2(sideways, np.dot(step, axis)))
    if angle <= MAX_TILT_DEG:
        return ""
    return (
        f"gantry tilt of {angle:.1f} degrees: each slice is shifted by "
        f"{sideways / (len(frames) - 1):.2f} mm against the one below"
    )


def _spacing(heights: NDArray, steps: NDArray) -> str:
    usual = float(np.sort(steps)[(len(steps) - 1) // 2])  # median, the lower of two
    if (gaps := np.flatnonzero(steps > GAP_FACTOR * usual)).size:
        places = ", ".join(f"{heights[g]:.2f} and {heights[g + 1]:.2f}" for g in gaps[:3])
        more = f" and {gaps.size - 3} more places" if gaps.size > 3 else ""
        return f"slices are missing between {places} mm{more} (the usual step is {usual:.2f} mm)"
    if np.abs(steps - steps.mean()).max() > _tolerance_mm(usual):
        return f"the distance between slices varies from {steps.min():.2f} to {steps.max():.2f} mm"
    return ""


def _straightness(frames: Sequence[SliceHeader]) -> str:
    """Small steps to the side or in distance may add up to a curve."""
    positions = np.array([f.position_mm for f in frames])
    ideal = np.linspace(positions[0], positions[-1], len(frames))
    off_mm = float(np.linalg.norm(positions - ideal, axis=1).max())
    usual = float(np.linalg.norm(positions[-1] - positions[0]) / (len(frames) - 1))
    if off_mm <= max(_tolerance_mm(usual), 0.25 * usual):
        return ""
    return f"slices lie up to {off_mm:.2f} mm off a straight regular stack"


def _tolerance_mm(usual: float) -> float:
    return max(0.101, 0.01 * usual)  # headers round positions to 0.1 mm at worst
