"""The pancreas, its ducts, and a tumor that blocks them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.canvas import Stroke, stroke
from core.phantom.patient import CENTER_MM, Patient
from core.phantom.shapes import (
    Solid,
    along,
    arc_fraction,
    curve,
    ellipsoid,
    lattice,
    minus,
    rough,
    shell,
    tube,
    union,
)

LOCATIONS = ((0.26, "head"), (0.36, "neck"), (0.7, "body"), (1.0, "tail"))


@dataclass(frozen=True)
class Tumor:
    """A tumor of known size and place.

    Args:
      solid: the tumor in the standard frame.
      diameter_mm: of the ball of equal volume, in the patient.
      fraction: place along the pancreas, 0 (head) to 1 (tail).
      center_mm: (x, y, z) in the standard frame.
      location: head, neck, body or tail.
    """

    solid: Solid
    diameter_mm: float
    fraction: float
    center_mm: NDArray[np.float64]
    location: str


def center_line(patient: Patient, hilum: NDArray) -> NDArray[np.float64]:
    """Curve (n, 3) from the lower head to the tip of the tail, mm.

    Pancreata differ most in how the body rises over the spine and how high the tail ends.
    """
    rng = patient.stream("pancreas")
    rise, arch, tail = rng.normal(0, 5), rng.normal(0, 3), rng.normal(0, 6)
    return curve(
        [
            (-36 + rng.normal(0, 1.5), -54, -36 + rng.normal(0, 3)),
            (-37, -59, -18),
            (-29, -65, -4),
            (-12, -70 + arch / 3, 4 + rise / 3),
            (8, -70 + arch, 13 + rise),
            (32, -61 + arch, 16 + rise),
            (56, -40 + arch / 2, 20 + (rise + tail) / 2),
            np.add(hilum, (-12 - abs(rng.normal(0, 4)), -8, -10 + tail / 2)),
        ],
        step_mm=3.5,
    )


def half_thickness(patient: Patient, line: NDArray, tumor_at: float | None) -> NDArray[np.float64]:
    """Radius (n,) along the centre line, mm; the gland upstream of a tumor is atrophied."""
    rng = patient.stream("pancreas thickness")
    size = float(np.clip(rng.normal(1, 0.09), 0.8, 1.2))
    bulk = [
        (0, 9.5),
        (0.1, 13),
        (0.2, 12.5),
        (0.31, 8),
        (0.42, 8.6),
        (0.6, 9.2),
        (0.85, 9.0),
        (1, 5.5),
    ]
    radii = along(line, bulk) * size
    if tumor_at is not None:
        radii *= 1 - rng.uniform(0.16, 0.34) * _upstream(line, tumor_at)
    return radii


def _upstream(line: NDArray, fraction: float) -> NDArray[np.float64]:
    """Smooth step (n,) from 0 before a place on the line to 1 on its tail side."""
    return 1 / (1 + np.exp(-(arc_fraction(line) - fraction) / 0.02))


def gland(patient: Patient, line: NDArray, radii: NDArray) -> Solid:
    """Head, uncinate process, neck, body and tail with a lobulated surface."""
    rng = patient.stream("pancreas surface")
    uncinate = ellipsoid((-23, -51, -24 + rng.normal(0, 3)), (15, 9, 15))
    whole = union(tube(line, radii, squash=(1, 0.95, 1.28)), uncinate, blend_mm=8)
    lobules = lattice(rng, whole.low, whole.high, 7.5)
    waves = lattice(rng, whole.low, whole.high, 22)
    return rough(rough(whole, waves, 1.2), lobules, rng.uniform(0.7, 1.5))


def draw_tumor(
    patient: Patient, line: NDArray, radii: NDArray, diameter_mm: float, blocked: Solid
) -> Tumor:
    """An irregular mass somewhere along the pancreas, of exactly the volume asked for.

    Args:
      patient: who has it.
      line: centre line of the pancreas (n, 3), mm.
      radii: half thickness of the healthy pancreas along it (n,), mm.
      diameter_mm: of the ball of equal volume.
      blocked: where the tumor cannot grow (the lumen of large vessels).
    """
    rng = patient.stream("tumor")
    fraction = float(rng.choice([rng.uniform(0.04, 0.28), rng.uniform(0.28, 0.92)], p=[0.55, 0.45]))
    index = int(np.argmin(np.abs(arc_fraction(line) - fraction)))
    offset = rng.normal(0, 0.35, 3)
    center = line[index] + offset / max(1.0, float(np.linalg.norm(offset))) * radii[index] * 0.6
    radius = diameter_mm / 2
    stretch = rng.normal(1, 0.12, 3)
    core = ellipsoid(center, radius * stretch / np.cbrt(stretch.prod()))
    field = lattice(rng, core.low - radius, core.high + radius, max(0.75 * radius, 2.0))
    blob = rough(core, field, 0.16 * radius)
    solid = minus(_with_volume(patient, blob, blocked, center, diameter_mm), blocked)
    location = next(name for limit, name in LOCATIONS if fraction <= limit)
    return Tumor(solid, diameter_mm, fraction, center, location)


def _with_volume(
    patient: Patient, blob: Solid, blocked: Solid, center: NDArray, diameter_mm: float
) -> Solid:
    """The blob grown or shrunk until what is not blocked fills the ball of that diameter."""
    step = diameter_mm / 32
    offsets = np.arange(-32, 33) * step
    place = (center - CENTER_MM) * patient.scale
    points = patient.points(tuple(offsets + c for c in place))  # type: ignore[arg-type]
    free = np.sort(blob.distance(points)[blocked.distance(points) > 0])
    num_voxels = round(np.pi / 6 * diameter_mm**3 / step**3)
    return shell(blob, float(free[min(num_voxels, len(free) - 1)]))


def pancreas(patient: Patient, line: NDArray, tumor: Tumor | None) -> list[Stroke]:
    """Strokes of the gland, its duct and the tumor."""
    rng = patient.stream("duct")
    at = None if tumor is None else tumor.fraction
    radii = half_thickness(patient, line, at)
    organ = gland(patient, line, radii)
    out = [
        stroke(patient, organ, "pancreas", "pancreas", clearance_mm=min(patient.clearance_mm, 2.0))
    ]
    out += _fatty_patch(patient, line, radii, organ)
    out.append(_duct(patient, rng, line, radii, at))
    if tumor is not None:
        out.append(stroke(patient, tumor.solid, "tumor", "tumor", blur_mm=1.5))
    return out


def _duct(
    patient: Patient,
    rng: np.random.Generator,
    line: NDArray,
    radii: NDArray,
    tumor_at: float | None,
) -> Stroke:
    """The main duct: thin, and dilated upstream of a tumor."""
    inner = line[1:-2]
    width = np.full(len(inner), rng.uniform(0.5, 0.95))
    if tumor_at is not None:
        dilated = rng.uniform(2.5, 4.0)
        width += (dilated - width) * _upstream(line, tumor_at)[1:-2]
    taper = np.interp(arc_fraction(inner), [0, 0.85, 1], [1, 1, 0.6])
    wander = rng.normal(0, 0.12, (len(inner) // 4 + 2, 3))
    wander = np.stack(
        [
            np.interp(np.linspace(0, 1, len(inner)), np.linspace(0, 1, len(wander)), w)
            for w in wander.T
        ],
        -1,
    )
    path = inner + wander * radii[1:-2, None]
    return stroke(patient, tube(path, width * taper), "duct", "duct", thin_mm=float(width.mean()))


def _fatty_patch(patient: Patient, line: NDArray, radii: NDArray, organ: Solid) -> list[Stroke]:
    """Focal fat at the front of the head in some patients: dark, and not a tumor."""
    rng = patient.stream("fatty patch")
    if rng.random() > 0.3:
        return []
    place = int(rng.integers(2, len(line) // 3))
    center = np.add(line[place], (0, -radii[place] * 0.5, 0))
    field = lattice(rng, center - 30, center + 30, 6)
    patch = rough(ellipsoid(center, rng.uniform(5, 11) * np.array([1, 0.7, 1.2])), field, 2.0)
    return [stroke(patient, patch, "fatty pancreas", blur_mm=4.0)]
