"""Smooth curves through given points, and values that vary along them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, make_interp_spline

from core.phantom.ct.shapes import Path


def curve(points: Path, *, step_mm: float = 4.0) -> NDArray[np.float64]:
    """Smooth curve (n, 3) through the given points, sampled about every `step_mm`."""
    points = np.asarray(points, np.float64)
    gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    points = points[np.r_[True, gaps > 0.5]]  # a spline swings out between points that coincide
    chord = np.r_[0, np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()]
    spline = make_interp_spline(chord, points, k=min(3, len(points) - 1))
    dense = spline(np.linspace(0, chord[-1], 16 * len(points)))
    arc = np.r_[0, np.linalg.norm(np.diff(dense, axis=0), axis=1).cumsum()]
    even = np.linspace(0, arc[-1], max(2, round(arc[-1] / step_mm) + 1))
    return np.stack([np.interp(even, arc, axis) for axis in dense.T], -1)


def arc_fraction(points: NDArray) -> NDArray[np.float64]:
    """Position along a curve of each of its points, 0 to 1."""
    arc = np.r_[0, np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()]
    return arc / arc[-1]


def along(points: NDArray, knots: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """Values per point of a curve, interpolated between (fraction of its length, value) knots."""
    at, value = zip(*knots, strict=True)
    return PchipInterpolator(at, value)(arc_fraction(points))
