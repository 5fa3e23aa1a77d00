"""A tumor of the pancreas, of exactly the volume asked for."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.curves import arc_fraction
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.patient import CENTER_MM, Patient
from core.phantom.ct.shapes import Solid, ellipsoid, lattice, minus, rough, shell
from core.phantom.ct.tissue import TISSUES

LOCATIONS = ((0.26, "head"), (0.36, "neck"), (0.7, "body"), (1.0, "tail"))
MOTTLE_HU = {False: TISSUES["tumor"].mottle_hu, True: 20.0}
"""Median deviation of HU within tumors of patients without and with metastatic nodes."""
MOTTLE_SPREAD, MAX_MOTTLE_HU = 0.5, 40.0
"""Standard deviation of its logarithm within either group, and its limit: groups overlap."""


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


@dataclass(frozen=True)
class Texture:
    """How uneven a tumor is: standard deviation of its HU, and the size of the grains."""

    mottle_hu: float
    mottle_mm: float


def draw_texture(patient: Patient, metastatic: bool) -> Texture:
    """Draw how uneven a tumor is: more where it has spread, but groups overlap.

    The deviation alone tells the groups apart with an AUC of Φ(ln(20 / 7) / (0.5 √2)) = 0.93, less
    in the noise of a scan. The more uneven a tumor, the coarser its grains: their area grows with
    the deviation.
    """
    usual = TISSUES["tumor"]
    factor = np.exp(patient.stream("tumor texture").normal(0, MOTTLE_SPREAD))
    mottle_hu = float(min(MOTTLE_HU[metastatic] * factor, MAX_MOTTLE_HU))
    return Texture(mottle_hu, usual.mottle_mm * float(np.sqrt(mottle_hu / usual.mottle_hu)))


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
    """Offset the blob until its volume outside `blocked` is that of a ball of the diameter."""
    step = diameter_mm / 32
    offsets = np.arange(-32, 33) * step
    place = (center - CENTER_MM) * patient.scale
    points = patient.points(tuple(offsets + c for c in place))  # type: ignore[arg-type]
    free = np.sort(blob.distance(points)[blocked.distance(points) > 0])
    num_voxels = round(np.pi / 6 * diameter_mm**3 / step**3)
    return shell(blob, float(free[min(num_voxels, len(free) - 1)]))


def tumor_stroke(patient: Patient, tumor: Tumor, texture: Texture | None = None) -> Stroke:
    """Stroke of the tumor, with the blurred border of an infiltrating mass.

    Args:
      patient: who has it.
      tumor: where it is.
      texture: of its own; None, that of the tissue.
    """
    usual = stroke(patient, tumor.solid, "tumor", "tumor", blur_mm=1.5)
    if texture is None:
        return usual
    field = lattice(
        patient.stream("tumor mottle"), tumor.solid.low, tumor.solid.high, texture.mottle_mm
    )
    ratio = np.float32(texture.mottle_hu / TISSUES["tumor"].mottle_hu)
    return replace(usual, mottle=lambda points: ratio * field(points))
