"""Painting an anatomy onto the lines of an ultrasound array, from the back to the front."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from core.phantom.ct.patient import stream
from core.phantom.ultrasound.anatomy import Anatomy, Lesion
from core.phantom.ultrasound.beam import Fan

# Echo strength in dB against pancreas, and attenuation in dB/cm/MHz.
TISSUES = {
    "water": (-38.0, 0.0),
    "mucosa": (3.0, 0.6),
    "muscle": (-11.0, 0.6),
    "fat": (5.0, 0.65),
    "pancreas": (0.0, 0.6),
    "tumor": (0.0, 0.75),
    "blood": (-32.0, 0.12),
    "juice": (-34.0, 0.05),
    "vessel_wall": (6.0, 0.6),
    "calcification": (16.0, 0.6),
}
# Layers of the wall from the array outward: tissue and thickness in mm.
WALL = (("water", 1.6), ("mucosa", 0.7), ("muscle", 0.9), ("mucosa", 1.1), ("muscle", 1.2))
SEROSA_MM = 0.7
DUCT_MM, BLOCKED_DUCT_MM = 0.9, 2.4  # radius; behind a tumor juice is held back
EDGE_MM = 0.25  # width over which one tissue turns into the next


class Fill(Protocol):
    """Function that fills the region of negative distance with a tissue."""

    def __call__(
        self, distance: NDArray, name: str, *, edge_mm: float = ..., extra_db: NDArray | float = ...
    ) -> None:
        """See `tissue`."""


def tissue(
    anatomy: Anatomy,
    fan: Fan,
    *,
    shift_mm: tuple[float, float],
    tilt_rad: float,
    elevation_mm: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Echo strength in dB and attenuation in dB/cm/MHz (r, a) along the lines of a fan.

    Args:
      anatomy: the patient.
      fan: where the samples lie.
      shift_mm: (x, z) of the array against the first frame.
      tilt_rad: turn of the array in its plane.
      elevation_mm: distance of the plane from the first frame's.
    """
    depth, angle = fan.lines()
    x, z = placed(fan, depth, angle, shift_mm, tilt_rad)
    rng = stream(anatomy.seed, f"texture {elevation_mm:.3f}")
    echo, loss = (np.full(x.shape, v, np.float32) for v in TISSUES["fat"])

    def fill(
        distance: NDArray, name: str, *, edge_mm: float = EDGE_MM, extra_db: NDArray | float = 0.0
    ) -> None:
        share = np.clip(0.5 - distance / (2 * edge_mm), 0, 1).astype(np.float32)
        strength, attenuation = TISSUES[name]
        echo[...] += share * (strength + extra_db - echo)
        loss[...] += share * (attenuation - loss)

    a, b, c = anatomy.middle_mm
    off_middle = z - (a + b * x + c * x * x)
    lobules = _mottle(rng, x.shape, (6, 3), 2.2) + _mottle(rng, x.shape, (16, 10), 1.5)
    thickness = anatomy.half_mm + _mottle(rng, (1, x.shape[1]), (0, 9), 0.9)
    echo += _mottle(rng, x.shape, (3, 16), 3.0) + _mottle(
        rng, x.shape, (25, 25), 2.0
    )  # strands in the fat
    fill(np.abs(np.abs(off_middle) - thickness) - 0.25, "vessel_wall", edge_mm=0.4)
    fill(np.abs(off_middle) - thickness, "pancreas", edge_mm=0.5, extra_db=lobules)
    _draw_duct(anatomy, fill, x, off_middle, elevation_mm)
    if anatomy.vein_mm is not None:
        _draw_vein(anatomy.vein_mm, fill, x, off_middle - thickness)
    for vx, vz, radius, drift in anatomy.vessels:
        distance = np.hypot(x - vx - drift * elevation_mm, (z - vz) * 1.08) - radius
        fill(distance - 0.5, "vessel_wall", edge_mm=0.4)
        fill(distance, "blood")
    if anatomy.lesion is not None:
        border = anatomy.lesion.distance_mm(x, z, elevation_mm)
        inner = _mottle(rng, x.shape, (12, 7), 2.2) + _mottle(rng, x.shape, (5, 3), 1.2)
        fill(border, "tumor", edge_mm=1.1, extra_db=anatomy.lesion.echo_db + inner)
        _draw_necrosis(anatomy.lesion, anatomy.seed, fill, x, z, elevation_mm)
    _draw_wall(anatomy, fill, depth + _mottle(rng, (1, x.shape[1]), (0, 14), 0.25))
    _cast_shadows(anatomy, echo, depth, angle + tilt_rad)
    return echo, loss


def _draw_vein(vein_mm: tuple[float, float], fill: Fill, x: NDArray, behind: NDArray) -> None:
    """Draw the splenic vein in longitudinal section, along the posterior border of the pancreas."""
    end, radius = vein_mm
    beyond = np.maximum(np.sign(end) * (end - x), 0)
    distance = np.hypot(behind - radius - 1.5 + 0.8 * np.sin(x / 7), beyond) - radius
    fill(distance - 0.5, "vessel_wall", edge_mm=0.4)
    fill(distance, "blood")


def placed(
    fan: Fan, depth: NDArray, angle: NDArray, shift_mm: tuple[float, float], tilt_rad: float
) -> tuple[NDArray, NDArray]:
    """Anatomical coordinates (x, z) of samples for a position of the transducer array."""
    x, z = fan.position(depth, angle + tilt_rad)
    return x + shift_mm[0], z + shift_mm[1]


def _mottle(
    rng: np.random.Generator, shape: tuple[int, ...], sigmas: tuple[float, float], amplitude: float
) -> NDArray[np.float32]:
    """Smooth random field with the given standard deviation, for tissue texture."""
    field = gaussian_filter(rng.standard_normal(shape, np.float32), sigmas, mode="reflect")
    return (field * (amplitude / max(float(field.std()), 1e-6))).astype(np.float32)


def _draw_duct(
    anatomy: Anatomy, fill: Fill, x: NDArray, off_middle: NDArray, elevation_mm: float
) -> None:
    """Draw the pancreatic duct: on the centre line, dilated upstream of a tumor, occluded in it."""
    radius = np.full(x.shape, DUCT_MM, np.float32)
    lesion = anatomy.lesion
    if lesion is not None:
        side = 1 if lesion.center_mm[0] < 0 else -1
        radius[side * (x - lesion.center_mm[0]) > 0] = BLOCKED_DUCT_MM
    distance = np.hypot(off_middle - 0.8 * np.sin(x / 5), elevation_mm / 2) - radius
    fill(np.abs(distance) - 0.2, "vessel_wall")
    fill(distance, "juice")


def _draw_necrosis(
    lesion: Lesion, seed: int, fill: Fill, x: NDArray, z: NDArray, elevation_mm: float
) -> None:
    """Draw small necrotic or calcified foci inside larger tumors."""
    rng = stream(seed, "necrosis")
    for _ in range(rng.integers(0, 3) if lesion.radius_mm > 9 else 0):
        turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5) * lesion.radius_mm
        radius = rng.uniform(0.08, 0.16) * lesion.radius_mm
        cx, cz = lesion.center_mm[0] + out * np.cos(turn), lesion.center_mm[1] + out * np.sin(turn)
        name = "calcification" if rng.random() < 0.3 else "juice"
        size = 0.35 if name == "calcification" else radius
        distance = np.sqrt((x - cx) ** 2 + (1.4 * (z - cz)) ** 2 + elevation_mm**2) - size
        fill(distance, name, edge_mm=0.6)


def _draw_wall(anatomy: Anatomy, fill: Fill, depth: NDArray) -> None:
    """Draw the layers of the wall of stomach or duodenum, the mucosa last."""
    edges = np.cumsum([thickness for _, thickness in WALL]) * anatomy.wall_scale
    fill(depth - edges[-1] - SEROSA_MM, "vessel_wall")
    for edge, (name, _) in reversed(list(zip(edges, WALL, strict=True))):
        fill(depth - edge, name)


def _cast_shadows(anatomy: Anatomy, echo: NDArray, depth: NDArray, angle: NDArray) -> None:
    for at, start_mm, width, strength_db in anatomy.shadows:
        across = np.exp(-(((angle - at) / width) ** 2))
        behind = np.clip((depth - start_mm) / 2, 0, 1)
        echo -= (strength_db * across * behind).astype(np.float32)
        bubble = np.exp(-(((depth - start_mm) / 0.5) ** 2))
        echo += (14 * across * bubble).astype(np.float32)
