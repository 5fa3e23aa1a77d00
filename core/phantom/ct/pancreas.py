"""The pancreas: its course, its thickness, its lobulated surface, and the ducts in it."""

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.curves import along, arc_fraction, curve
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import Solid, ellipsoid, lattice, rough, tube, union
from core.phantom.ct.tumor import Tumor


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
        (0, 10),
        (0.1, 13),
        (0.2, 12.5),
        (0.31, 8.8),
        (0.42, 9.6),
        (0.6, 10.4),
        (0.85, 10),
        (1, 6.5),
    ]
    radii = along(line, bulk) * size
    if tumor_at is not None:
        radii *= 1 - rng.uniform(0.22, 0.42) * upstream(line, tumor_at)
    return radii


def upstream(line: NDArray, fraction: float) -> NDArray[np.float64]:
    """Smooth step (n,) from 0 before a place on the line (0 to 1) to 1 on its tail side."""
    return 1 / (1 + np.exp(-(arc_fraction(line) - fraction) / 0.02))


def gland(patient: Patient, line: NDArray, radii: NDArray) -> Solid:
    """Head, uncinate process, neck, body and tail with a lobulated surface."""
    rng = patient.stream("pancreas surface")
    uncinate = ellipsoid((-23, -51, -24 + rng.normal(0, 3)), (15, 9, 15))
    whole = union(tube(line, radii, squash=(1, 0.95, 1.28)), uncinate, blend_mm=8)
    region = line.min(0) - 25, line.max(0) + 25  # the same surface before and after atrophy
    lobules, waves = lattice(rng, *region, 6.5), lattice(rng, *region, 22)
    return rough(rough(whole, waves, 1.2), lobules, rng.uniform(1.0, 2.0))


def parenchyma(patient: Patient, line: NDArray, radii: NDArray) -> list[Stroke]:
    """Strokes of the gland without its ducts."""
    clearance = min(patient.clearance_mm, 2.0)
    organ = gland(patient, line, radii)
    out = [stroke(patient, organ, "pancreas", "pancreas", clearance_mm=clearance)]
    return [*out, *_fatty_patch(patient, line, radii)]


def _fatty_patch(patient: Patient, line: NDArray, radii: NDArray) -> list[Stroke]:
    """Focal fat at the front of the head in some patients: dark, and not a tumor."""
    rng = patient.stream("fatty patch")
    if rng.random() > 0.3:
        return []
    place = int(rng.integers(2, len(line) // 3))
    center = np.add(line[place], (0, -radii[place] * 0.5, 0))
    field = lattice(rng, center - 30, center + 30, 6)
    patch = rough(ellipsoid(center, rng.uniform(5, 11) * np.array([1, 0.7, 1.2])), field, 2.0)
    return [stroke(patient, patch, "fatty pancreas", blur_mm=4.0)]


def pancreatic_duct(
    patient: Patient, line: NDArray, radii: NDArray, tumor: Tumor | None
) -> list[Stroke]:
    """Strokes of the main duct: thinner than 2 mm, and 5 to 8 mm wide upstream of a tumor.

    The dilated part is labeled apart, as the PNET paper of S4C has it.

    Args:
      patient: whose it is.
      line: centre line of the pancreas (n, 3), mm.
      radii: half thickness of the gland along it (n,), mm.
      tumor: what blocks it.
    """
    rng = patient.stream("duct")
    inner = line[1:-2]
    width = np.full(len(inner), rng.uniform(0.5, 0.95))
    dilated = rng.uniform(2.5, 4.0)
    if tumor is not None:
        width += (dilated - width) * upstream(line, tumor.fraction)[1:-2]
    taper = np.interp(arc_fraction(inner), [0, 0.85, 1], [1, 1, 0.6])
    path = inner + _wander(rng, len(inner)) * radii[1:-2, None]
    thin_mm = float(width.mean())
    strokes = [stroke(patient, tube(path, width * taper), "duct", "duct", thin_mm=thin_mm)]
    if tumor is not None:
        dilated_part = upstream(line, tumor.fraction)[1:-2] > 0.5
        if np.count_nonzero(dilated_part) > 1:
            wide = tube(path[dilated_part], (width * taper)[dilated_part])
            strokes.append(Stroke(wide, None, "dilated_duct"))
    return strokes


def _wander(rng: np.random.Generator, num_points: int) -> NDArray[np.float64]:
    """Smooth random offsets (n, 3) of a duct from the centre line, in radii of the gland."""
    knots = rng.normal(0, 0.12, (num_points // 4 + 2, 3))
    at = np.linspace(0, 1, num_points)
    return np.stack([np.interp(at, np.linspace(0, 1, len(knots)), k) for k in knots.T], -1)


def bile_duct(patient: Patient, tumor: Tumor | None) -> Stroke:
    """From the liver hilum through the head; a tumor of the head widens it above itself."""
    rng = patient.stream("bile duct")
    path = curve(
        [(-50, -58, 48), (-40, -60, 30), (-36, -54, 12), (-37, -50, -4), (-44, -50, -20)],
        step_mm=3,
    )
    width, dilated = np.full(len(path), rng.uniform(1.8, 2.9)), rng.uniform(4.5, 7.0)
    if tumor is not None and tumor.location == "head":
        above = 1 / (1 + np.exp(-(path[:, 2] - tumor.center_mm[2]) / 3))
        width += (dilated - width) * above
    mean = float(width.mean())
    return stroke(patient, tube(path, width), "bile", "bile_duct", thin_mm=mean)
