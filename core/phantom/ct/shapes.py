"""Solids as signed distances in millimetres, evaluated on any axis-aligned grid of points."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]
Point = Sequence[float] | NDArray[np.floating]
Path = Sequence[Point] | NDArray[np.floating]
REACH_MM = 7.0  # distances are exact to this far outside a tube, and infinite beyond


class Points(NamedTuple):
    """A box of points: where they are, and the regular axes that they were bent from.

    Args:
      x: position to the patient's left, mm (D, H, W); y to the back, z to the head likewise.
      axes: straight coordinates (x (W,), y (H,), z (D,)) before the bend.
      slack_mm: the bend moves no point further than this along any axis.
    """

    x: Array
    y: Array
    z: Array
    axes: tuple[Array, Array, Array]
    slack_mm: float

    def within(self, low: Point, high: Point) -> "tuple[tuple[slice, ...], Points]":
        """Index of the points that can lie in the box from `low` to `high` (x, y, z), and them."""
        low, high = np.asarray(low) - self.slack_mm, np.asarray(high) + self.slack_mm
        spans = [
            slice(int(np.searchsorted(axis, lo)), int(np.searchsorted(axis, hi, "right")))
            for axis, lo, hi in zip(self.axes, low, high, strict=True)
        ]
        index = (spans[2], spans[1], spans[0])
        axes = tuple(axis[span] for axis, span in zip(self.axes, spans, strict=True))
        return index, Points(self.x[index], self.y[index], self.z[index], axes, self.slack_mm)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Solid:
    """A solid: negative distance inside, and a box (x, y, z) that holds it.

    Args:
      low: lower corner of the box, mm.
      high: upper corner of the box, mm.
      distance: signed distance in mm (D, H, W) of points.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    distance: Callable[[Points], Array]


@dataclass(frozen=True)
class Lattice:
    """Smooth random field of unit variance: cubic B-splines over a lattice of normal numbers.

    Args:
      low: lower corner (x, y, z) of the region, mm.
      cell_mm: distance of the control points; about the size of the field's grains.
      control: normal numbers (z, y, x).
    """

    low: NDArray[np.float64]
    cell_mm: float
    control: Array

    def __call__(self, points: Points) -> Array:
        """Field (D, H, W) on the straight axes of the points; zero outside the region."""
        x, y, z = (
            _spline_weights((axis - lo) / self.cell_mm, num)
            for axis, lo, num in zip(points.axes, self.low, self.control.shape[::-1], strict=True)
        )
        field = np.tensordot(z, self.control, (1, 0))
        return np.matmul(np.matmul(y, field), x.T)


def lattice(rng: np.random.Generator, low: Point, high: Point, cell_mm: float) -> Lattice:
    """Random field over the box from `low` to `high` (x, y, z)."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    num = np.ceil((high - low) / cell_mm).astype(int) + 3
    control = rng.standard_normal(num[::-1], np.float32)
    # Mean square of the summed spline weights per axis: 151/315.
    return Lattice(low, cell_mm, control * np.float32((315 / 151) ** 1.5))


def _spline_weights(position: Array, num: int) -> Array:
    """Cubic B-spline weights (n, num) of `num` control points at positions in cells."""
    offset = np.abs(position[:, None] + 1 - np.arange(num, dtype=np.float32))
    near = 2 / 3 - offset**2 + offset**3 / 2
    far = np.clip(2 - offset, 0, None) ** 3 / 6
    return np.where(offset < 1, near, far).astype(np.float32)


def ellipsoid(center: Point, radii: Point) -> Solid:
    """Axis-aligned ellipsoid; the distance is exact to first order at its surface."""
    c, r = np.asarray(center, np.float64), np.asarray(radii, np.float64)

    def distance(p: Points) -> Array:
        x, y, z = ((v - np.float32(o)) for v, o in zip(p[:3], c, strict=True))
        scaled = np.sqrt((x / r[0]) ** 2 + (y / r[1]) ** 2 + (z / r[2]) ** 2)
        slope = np.sqrt((x / r[0] ** 2) ** 2 + (y / r[1] ** 2) ** 2 + (z / r[2] ** 2) ** 2)
        outward = scaled * (scaled - 1) / np.maximum(slope, 1e-6)
        return np.where(scaled < 1e-3, -r.min(), outward).astype(np.float32)

    return Solid(c - r, c + r, distance)


def column(
    center_xy: Point, half_xy: Point, span_z: Point = (-1e4, 1e4), *, power: float = 2.0
) -> Solid:
    """Upright cylinder with a superellipse (|x/a|^p + |y/b|^p = 1) as cross-section."""
    (cx, cy), (a, b), (bottom, top) = center_xy, half_xy, span_z

    def distance(p: Points) -> Array:
        x, y = np.abs(p.x - np.float32(cx)), np.abs(p.y - np.float32(cy))
        level = ((x / a) ** power + (y / b) ** power) ** (1 / power)
        radial = np.hypot(x, y) * (1 - 1 / np.maximum(level, 1e-3))
        return np.maximum(radial, np.maximum(bottom - p.z, p.z - top)).astype(np.float32)

    return Solid(np.array([cx - a, cy - b, bottom]), np.array([cx + a, cy + b, top]), distance)


def tube(curve: Path, radius: float | Point, *, squash: Point = (1.0, 1.0, 1.0)) -> Solid:
    """Union of round cones along a curve.

    Args:
      curve: points (n, 3) in mm.
      radius: one radius, or one per point (n,), mm.
      squash: the cross-section is this much wider along (x, y, z).
    """
    stretch = np.asarray(squash, np.float64)
    curve = np.asarray(curve, np.float64)
    radii = np.broadcast_to(np.asarray(radius, np.float64), len(curve))
    margin = (radii[:, None] + REACH_MM) * stretch

    def distance(p: Points) -> Array:
        out = np.full(p.x.shape, np.inf, np.float32)
        for i in range(len(curve) - 1):
            ends, pads = curve[i : i + 2], margin[i : i + 2]
            index, near = p.within((ends - pads).min(0), (ends + pads).max(0))
            if near.x.size:
                cone = _round_cone(near, ends / stretch, radii[i : i + 2], stretch)
                np.minimum(out[index], cone, out=out[index])
        return out

    pads = radii[:, None] * stretch
    return Solid((curve - pads).min(0), (curve + pads).max(0), distance)


def _round_cone(p: Points, ends: NDArray, radii: NDArray, stretch: NDArray) -> Array:
    """Distance to a segment, less the radius interpolated along it."""
    (ax, ay, az), (bx, by, bz) = ends[0].tolist(), (ends[1] - ends[0]).tolist()
    x, y, z = (
        p.x / np.float32(stretch[0]),
        p.y / np.float32(stretch[1]),
        p.z / np.float32(stretch[2]),
    )
    x, y, z = x - np.float32(ax), y - np.float32(ay), z - np.float32(az)
    length2 = max(bx * bx + by * by + bz * bz, 1e-9)
    along = np.clip((x * (bx / length2) + y * (by / length2) + z * (bz / length2)), 0, 1)
    x, y, z = x - along * bx, y - along * by, z - along * bz
    far = np.sqrt(x * x + y * y + z * z)
    return far - (np.float32(radii[0]) + along * np.float32(radii[1] - radii[0]))


def shell(solid: Solid, offset_mm: float) -> Solid:
    """The solid grown (positive) or shrunk (negative) by an offset."""
    return Solid(
        solid.low - max(offset_mm, 0),
        solid.high + max(offset_mm, 0),
        lambda p: solid.distance(p) - np.float32(offset_mm),
    )


def rough(solid: Solid, field: Lattice, amplitude_mm: float) -> Solid:
    """The solid with its surface displaced along the normal by a random field."""
    return Solid(
        solid.low - 2 * amplitude_mm,
        solid.high + 2 * amplitude_mm,
        lambda p: solid.distance(p) + np.float32(amplitude_mm) * np.clip(field(p), -2, 2),
    )


def union(*solids: Solid, blend_mm: float = 0.0) -> Solid:
    """Everything inside any of the solids, with a fillet of about `blend_mm` where they meet."""

    def distance(p: Points) -> Array:
        out = solids[0].distance(p)
        for other in solids[1:]:
            out = _smooth_minimum(out, other.distance(p), blend_mm)
        return out

    low = np.min([s.low for s in solids], 0) - blend_mm / 4
    return Solid(low, np.max([s.high for s in solids], 0) + blend_mm / 4, distance)


def _smooth_minimum(a: Array, b: Array, blend_mm: float) -> Array:
    """Minimum, lowered by up to a quarter of `blend_mm` where both are close."""
    low = np.minimum(a, b)
    if not blend_mm:
        return low
    high = np.minimum(np.maximum(a, b), 1e4)  # keeps inf - inf out
    overlap = np.clip(1 - (high - np.minimum(low, 1e4)) / blend_mm, 0, None)
    return low - np.float32(blend_mm / 4) * overlap**2


def intersection(first: Solid, *others: Solid) -> Solid:
    """Everything inside all of the solids."""

    def distance(p: Points) -> Array:
        out = first.distance(p)
        for other in others:
            out = np.maximum(out, other.distance(p))
        return out

    return Solid(first.low, first.high, distance)


def minus(solid: Solid, *cut: Solid) -> Solid:
    """The solid without the others."""
    return intersection(solid, *[Solid(c.low, c.high, _negated(c)) for c in cut])


def _negated(solid: Solid) -> Callable[[Points], Array]:
    return lambda p: -solid.distance(p)


def above(height_mm: Callable[[Points], Array] | float, *, axis: int = 2, sign: int = 1) -> Solid:
    """Half space above a height along an axis (0 = x, 1 = y, 2 = z), below it for `sign` -1."""
    height = height_mm if callable(height_mm) else (lambda p: np.full((), height_mm, np.float32))
    everywhere = np.full(3, 1e4)
    return Solid(-everywhere, everywhere, lambda p: sign * (height(p) - (p.x, p.y, p.z)[axis]))
