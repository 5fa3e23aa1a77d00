"""What lies before an endoscope's array in the stomach: its wall, the pancreas, vessels, a tumor.

Positions are millimeters (x to the right, z away from the array) in the plane of the first frame.
The planes of further frames are `elevation_mm` away from it and see round things cut smaller.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.patient import stream

LOCATIONS = ("head", "neck", "body", "tail")
TUMOR_DB, TUMOR_SPREAD_DB = -13.0, 1.5


@dataclass(frozen=True)
class Lesion:
    """Cross-section of a tumor: a circle with an undulating border.

    Args:
      center_mm: (x, z).
      radius_mm: of the circle of equal area.
      waves: amplitude relative to the radius and phase of 2, 3, … waves around, (k, 2).
      echo_db: its echo strength against pancreas.
      touches_artery: whether it has grown to the artery behind it.
    """

    center_mm: tuple[float, float]
    radius_mm: float
    waves: NDArray[np.float64]
    echo_db: float
    touches_artery: bool

    def distance_mm(self, x: NDArray, z: NDArray, elevation_mm: float) -> NDArray:
        """Distance to the border along the ray from the center, negative inside."""
        shrunk = np.sqrt(max(1 - (elevation_mm / self.radius_mm) ** 2, 0.0))
        x, z = x - self.center_mm[0], z - self.center_mm[1]
        angle, wave = np.arctan2(z, x), np.zeros(np.broadcast(x, z).shape)
        for order, (amplitude, phase) in enumerate(self.waves, start=2):
            wave += amplitude * np.cos(order * angle + phase)
        # The mean of (1 + Σ a cos)² is 1 + Σ a²/2: dividing by it leaves the circle's area.
        even = np.sqrt(1 + np.sum(self.waves[:, 0] ** 2) / 2)
        return np.hypot(x, z) - shrunk * self.radius_mm * (1 + wave) / even


@dataclass(frozen=True)
class Anatomy:
    """Anatomy of one patient, shared by all frames.

    Args:
      seed: of every random choice.
      location: part of the pancreas in view.
      lesion: the tumor, if there is one.
      wall_scale: thickness of the wall against the standard.
      middle_mm: coefficients of the pancreas' middle line z = a + b x + c x².
      half_mm: half its thickness.
      vessels: round cuts (x, z, radius) with how far each drifts in x per mm of elevation.
      vein_mm: where (x) the splenic vein comes into the plane, and its radius; None in the head.
      shadows: (angle in radians, depth in mm, half width in radians, strength in dB) of each.
    """

    seed: int
    location: str
    lesion: Lesion | None
    wall_scale: float
    middle_mm: tuple[float, float, float]
    half_mm: float
    vessels: tuple[tuple[float, float, float, float], ...]
    vein_mm: tuple[float, float] | None
    shadows: tuple[tuple[float, float, float, float], ...]


def draw_anatomy(
    seed: int, *, tumor_diameter_mm: float | None, location: str, touches_artery: bool
) -> Anatomy:
    """Draw the anatomy of a patient from a seed."""
    rng = stream(seed, "ultrasound anatomy")
    half = rng.uniform(7.5, 11.0) * (1.15 if location == "head" else 1.0)
    lesion = None
    depth = 8.0 + half + rng.uniform(0, 3)
    if tumor_diameter_mm is not None:
        radius = tumor_diameter_mm / 2
        # Near the middle line; a large one pushes the pancreas and itself away from the wall.
        height = max(depth + rng.uniform(-2, 2), 8.5 + 1.15 * radius)
        waves = np.c_[
            rng.normal(0, 0.17, 9) / np.arange(2, 11) ** 0.8, rng.uniform(0, 2 * np.pi, 9)
        ]
        echo_db = rng.normal(TUMOR_DB, TUMOR_SPREAD_DB)
        lesion = Lesion((rng.uniform(-7, 7), height), radius, waves, echo_db, touches_artery)
        depth = (depth + height) / 2
    bend = rng.uniform(-0.25, 0.25), rng.uniform(-0.006, 0.004)
    return Anatomy(
        seed=seed,
        location=location,
        lesion=lesion,
        wall_scale=rng.uniform(0.85, 1.3),
        middle_mm=(depth, *bend),
        half_mm=half,
        vessels=_vessels(rng, location, lesion, (depth, *bend), half),
        vein_mm=_vein(rng, location, lesion),
        shadows=_shadows(rng),
    )


def _vessels(
    rng: np.random.Generator,
    location: str,
    lesion: Lesion | None,
    middle: tuple[float, float, float],
    half: float,
) -> tuple[tuple[float, float, float, float], ...]:
    """The artery and the veins behind the pancreas, and in the head the bile duct in it."""
    side = rng.choice([-1, 1])
    spots = [(side * rng.uniform(2, 10), 5.0, rng.uniform(2.6, 3.6))]  # artery
    spots.append((-side * rng.uniform(8, 16), 3.5, rng.uniform(3.0, 5.0)))  # vein
    if location in ("head", "neck"):
        spots.append((side * rng.uniform(14, 20), -half * 0.9, rng.uniform(2.2, 4.0)))
    vessels = []
    for number, (x, behind, radius) in enumerate(spots):
        z = middle[0] + middle[1] * x + middle[2] * x * x + half + behind
        if lesion is not None:
            x, z = _moved_off(lesion, x, z, radius, close=lesion.touches_artery and number == 0)
        vessels.append((float(x), float(z), float(radius), float(rng.normal(0, 0.5))))
    return tuple(vessels)


def _vein(
    rng: np.random.Generator, location: str, lesion: Lesion | None
) -> tuple[float, float] | None:
    """Splenic vein in longitudinal section, in body and tail, displaced by a tumor."""
    if location not in ("body", "tail"):
        return None
    side, start = rng.choice([-1, 1]), rng.uniform(1, 8)
    if lesion is not None:
        side = 1 if lesion.center_mm[0] < 0 else -1
        start = side * lesion.center_mm[0] + 1.4 * lesion.radius_mm
    return float(side * start), float(rng.uniform(1.6, 2.6))


def _moved_off(
    lesion: Lesion, x: float, z: float, radius: float, *, close: bool
) -> tuple[float, float]:
    """Center of a vessel at the tumor's border if `close`, else at least 3 mm from it."""
    cx, cz = lesion.center_mm
    gap = float(lesion.distance_mm(np.array([[x]]), np.array([[z]]), 0.0)[0, 0]) - radius
    wanted = -0.4 * radius if close else max(gap, 3.0)
    away = np.hypot(x - cx, z - cz) or 1.0
    scale = 1 + (wanted - gap) / away
    return cx + (x - cx) * scale, cz + (z - cz) * scale


def _shadows(rng: np.random.Generator) -> tuple[tuple[float, float, float, float], ...]:
    """Gas bubbles in front of the gut wall and folds of it, with acoustic shadows behind."""
    return tuple(
        (
            float(rng.uniform(-0.8, 0.8)),
            float(rng.uniform(0.5, 5.0)),
            float(rng.uniform(0.02, 0.06)),
            float(rng.uniform(6, 18)),
        )
        for _ in range(rng.integers(0, 4))
    )
