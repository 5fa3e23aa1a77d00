"""One synthetic patient: its size, the smooth bend of its anatomy, and its habitus.

Anatomy is described in a standard frame in millimetres: x to the left, y to the back, z to the
head, zero in the middle of the first lumbar vertebra.
"""

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.shapes import Array, Lattice, Points, lattice

# Where the grid is centred in the standard frame: pancreas and coeliac axis in the middle.
CENTER_MM = np.array([0.0, -28.0, 8.0])
BEND_CELL_MM, BEND_MM, BEND_LIMIT_MM = 55.0, 3.5, 9.0
REGION_MM = (np.array([-300.0, -260.0, -420.0]), np.array([300.0, 260.0, 420.0]))


def stream(seed: int, name: str) -> np.random.Generator:
    """Random generator of one organ, independent of how many numbers other organs draw."""
    return np.random.default_rng((seed, zlib.crc32(name.encode())))


@dataclass(frozen=True)
class Patient:
    """Parameters that deform the standard anatomy into one patient.

    Args:
      seed: of every random choice made about the patient.
      scale: size relative to the standard along (x, y, z).
      bend: three random fields that displace (x, y, z).
      fat_mm: thickness of the fat under the skin at the (front, side, back).
      clearance_mm: fat between neighbouring organs.
    """

    seed: int
    scale: NDArray[np.float64]
    bend: tuple[Lattice, Lattice, Lattice]
    fat_mm: tuple[float, float, float]
    clearance_mm: float

    def stream(self, name: str) -> np.random.Generator:
        """Random generator of one organ of this patient."""
        return stream(self.seed, name)

    def points(self, axes_mm: tuple[NDArray, NDArray, NDArray]) -> Points:
        """Standard-frame points of a grid given by its (x, y, z) axes, mm from the grid centre."""
        straight: tuple[Array, Array, Array] = tuple(  # type: ignore[assignment]
            (np.asarray(axis) / s + c).astype(np.float32)
            for axis, s, c in zip(axes_mm, self.scale, CENTER_MM, strict=True)
        )
        shape = tuple(len(axis) for axis in straight[::-1])
        empty = np.empty(shape, np.float32)
        flat = Points(empty, empty, empty, straight, 0.0)
        limit = BEND_LIMIT_MM
        bent = [np.clip(BEND_MM * field(flat), -limit, limit) for field in self.bend]
        x, y, z = straight
        return Points(
            bent[0] + x, bent[1] + y[:, None], bent[2] + z[:, None, None], straight, limit
        )


def draw_patient(seed: int) -> Patient:
    """Draw the deformation, fat and clearances of a patient from a seed."""
    rng = stream(seed, "patient")
    size = rng.normal(1.0, 0.035)
    scale = np.clip(size * rng.normal(1.0, [0.025, 0.035, 0.03]), 0.88, 1.1)
    bend = tuple(lattice(rng, *REGION_MM, BEND_CELL_MM) for _ in range(3))
    fat = rng.gamma(3.5, 0.28)
    return Patient(
        seed,
        scale,
        bend,  # type: ignore[arg-type]
        (4 + 13 * fat, 4 + 9 * fat, 6 + 12 * fat),
        float(np.clip(0.8 + 1.8 * fat * rng.uniform(0.6, 1.2), 1.0, 4.5)),
    )
