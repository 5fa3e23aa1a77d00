"""Pulse-echo imaging with a curved array: from tissue to the fan on the screen.

Sampled where the machine samples, in lines from the array: (depth, angle). There a point-spread
function of one size in angle is one that widens with depth in millimeters, as that of a beam does.

Source: Wagner et al., Statistics of speckle in ultrasound B-scans, IEEE TSU 30, 1983.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates

Lines = Float[np.ndarray, "r a"]

PULSE_MM = 0.22  # standard deviation of the pulse along the beam
BEAM_RAD = 0.013  # standard deviation of the beam across it
DYNAMIC_RANGE_DB = 62.0
# Of the fan's width this share is on the screen: machines cut its far corners off.
WIDTH_SHARE = 0.76
MHZ = 7.5
MM_PER_CM = 10.0


@dataclass(frozen=True)
class Fan:
    """Scan lines of a curved array, and the pixel grid of the scan-converted image.

    Args:
      shape: pixels (H, W) of the picture.
      radius_mm: of the array's surface.
      depth_mm: of the deepest sample below that surface.
      half_angle_rad: of the outermost lines to the middle one.
    """

    shape: tuple[int, int]
    radius_mm: float
    depth_mm: float
    half_angle_rad: float

    @property
    def spacing_mm(self) -> float:
        """Of the picture, in both directions: the fan fits with a margin, but for its corners."""
        reach = self.radius_mm + self.depth_mm
        height = reach - self.radius_mm * np.cos(self.half_angle_rad)
        width = 2 * reach * np.sin(self.half_angle_rad) * WIDTH_SHARE
        return float(1.04 * max(height / self.shape[0], width / self.shape[1]))

    def lines(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Depths (r, 1) in mm and angles (1, a) in radians of the samples."""
        depth = np.linspace(0, self.depth_mm, 384, dtype=np.float32)
        angle = np.linspace(-self.half_angle_rad, self.half_angle_rad, 192, dtype=np.float32)
        return depth[:, None], angle[None]

    def pixels(self) -> tuple[NDArray, NDArray]:
        """Depth in mm and angle in radians of every pixel (H, W), also of those outside."""
        height, width = self.shape
        reach = self.radius_mm + self.depth_mm
        top = self.radius_mm * np.cos(self.half_angle_rad)
        middle = (top + reach) / 2
        y = (np.arange(height) - (height - 1) / 2) * self.spacing_mm + middle
        x = (np.arange(width) - (width - 1) / 2) * self.spacing_mm
        return np.hypot(x[None], y[:, None]) - self.radius_mm, np.arctan2(x[None], y[:, None])

    def inside(self) -> NDArray[np.bool_]:
        """Pixels (H, W) that a beam reaches."""
        depth, angle = self.pixels()
        return (depth >= 0) & (depth <= self.depth_mm) & (np.abs(angle) <= self.half_angle_rad)

    def position(self, depth: NDArray, angle: NDArray) -> tuple[NDArray, NDArray]:
        """Millimeters to the right and below the middle of the array's surface."""
        reach = self.radius_mm + depth
        return reach * np.sin(angle), reach * np.cos(angle) - self.radius_mm


def speckled(echo_db: Lines, fan: Fan, rng: np.random.Generator) -> Lines:
    """Amplitude of the echoes of many scatterers per cell, seen through the beam.

    |h * (10^(e/20) s)| with s complex normal: where the tissue is even, its amplitude is
    Rayleigh-distributed with mean square 10^(e/10).

    Args:
      echo_db: echo strength of the tissue.
      fan: gives the size of a sample.
      rng: draws the scatterers.
    """
    depth, angle = echo_db.shape
    sigmas = (
        PULSE_MM * (depth - 1) / fan.depth_mm,
        BEAM_RAD * (angle - 1) / 2 / fan.half_angle_rad,
    )
    strength = (10 ** (echo_db / 20)).astype(np.float32)
    field = [rng.standard_normal(echo_db.shape, np.float32) * strength for _ in range(2)]
    for axis, sigma in enumerate(sigmas):
        field = [gaussian_filter1d(part, sigma, axis=axis, mode="reflect") for part in field]
    # A Gaussian of standard deviation s keeps 1 / (2 √π s) of the power of white noise.
    gain = np.sqrt(np.prod([2 * np.sqrt(np.pi) * sigma for sigma in sigmas]) / 2)
    return (gain * np.hypot(*field)).astype(np.float32)


def loss_db(attenuation_db_cm_mhz: Lines, fan: Fan, *, compensated_db_cm_mhz: float) -> Lines:
    """Two-way attenuation at each sample minus the time-gain compensation, dB."""
    step_cm = fan.depth_mm / MM_PER_CM / (attenuation_db_cm_mhz.shape[0] - 1)
    excess = attenuation_db_cm_mhz - np.float32(compensated_db_cm_mhz)
    return 2 * MHZ * step_cm * (np.cumsum(excess, axis=0) - excess)


def on_screen(amplitude: Lines, *, gain_db: float) -> NDArray[np.float32]:
    """Log compression: gray values 0 to 255 over the dynamic range."""
    level_db = 20 * np.log10(np.maximum(amplitude, 1e-6)) + gain_db
    return np.clip(255 * (1 + level_db / DYNAMIC_RANGE_DB), 0, 255).astype(np.float32)


def scan_convert(gray: NDArray[np.float32], fan: Fan) -> NDArray[np.uint8]:
    """Picture (H, W) of lines (r, a); black where no beam reaches."""
    depth, angle = fan.pixels()
    rows = depth / fan.depth_mm * (gray.shape[0] - 1)
    columns = (angle / fan.half_angle_rad + 1) / 2 * (gray.shape[1] - 1)
    picture = map_coordinates(gray, [rows, columns], order=1, mode="nearest")
    return np.where(fan.inside(), np.rint(picture), 0).astype(np.uint8)
