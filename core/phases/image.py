"""Contrast phase from the image itself: aorta against liver, or no contrast agent at all.

A wrong phase is worse than none, so the rules leave gaps: what lies between two phases is unknown.
Enhancement of the aorta, the liver and the kidneys over time: arterial, the aorta is by far the
brightest and the liver dark; portal venous, both are bright; delayed, the kidneys excrete.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.io.scans import Scan, VolumeCache, read_scan
from core.phases import Phase
from core.phases.landmarks import AIR_HU, Disk, Landmarks, landmarks
from core.volume import Volume, canonical

COARSEST_PIXEL_MM = 4.0  # an aorta is five of them wide
STEP_MM = 5.0  # between the slices that are looked at
MAX_SLICES = 40
MIN_SLICES = 3  # that must agree
SAME_VESSEL_MM, SAME_VESSEL_HU, NEIGHBORS = 10.0, 15.0, 2

NATIVE_LIVER_HU, NATIVE_AORTA_HU, NATIVE_SHARE = 80.0, 75.0, 0.02
ARTERIAL_AORTA_HU, ARTERIAL_RATIO = 200.0, 0.5
VENOUS_AORTA_HU, VENOUS_LIVER_HU, VENOUS_RATIO = (115.0, 220.0), 75.0, 0.55
CONTRAST_SHARE = 0.03
NAN = float("nan")


@dataclass(frozen=True)
class Enhancement:
    """Medians over the slices that show the liver.

    Args:
      liver_hu: nan where too few slices show it.
      aorta_hu: of the brightest vessel that goes on from slice to slice; nan where there is none.
      share: of the body that has taken up contrast agent.
      excreted: whether contrast agent is in the pelves of both kidneys.
    """

    liver_hu: float = NAN
    aorta_hu: float = NAN
    share: float = NAN
    excreted: bool = False

    @property
    def phase(self) -> Phase:
        """The phase that fits; unknown where none or two do."""
        if not self.liver_hu == self.liver_hu:
            return "unknown"
        if self.share < NATIVE_SHARE:
            dark = self.liver_hu < NATIVE_LIVER_HU and not self.aorta_hu >= NATIVE_AORTA_HU
            return "native" if dark else "unknown"
        ratio = self.liver_hu / self.aorta_hu
        if self.aorta_hu >= ARTERIAL_AORTA_HU and ratio < ARTERIAL_RATIO:
            return "arterial"
        if self.excreted and self.aorta_hu >= NATIVE_AORTA_HU:
            return "delayed"
        is_venous = VENOUS_AORTA_HU[0] <= self.aorta_hu <= VENOUS_AORTA_HU[1]
        is_venous &= self.liver_hu >= VENOUS_LIVER_HU and ratio >= VENOUS_RATIO
        return "venous" if is_venous and self.share >= CONTRAST_SHARE else "unknown"

    def __str__(self) -> str:
        if not self.liver_hu == self.liver_hu:
            return "no liver and spine found"
        aorta = f"{self.aorta_hu:.0f}" if self.aorta_hu == self.aorta_hu else "not found"
        return f"liver {self.liver_hu:.0f} HU, aorta {aorta}" + (
            ", kidneys excrete" if self.excreted else ""
        )


def scan_enhancement(scan: Scan, volumes: VolumeCache) -> Enhancement:
    """Enhancement of a scan; of a long DICOM series few enough images are read.

    Args:
      scan: what to look at.
      volumes: keeps a volume that has to be read whole.

    Raises:
      InputError: a file cannot be read.
    """
    step = len(scan.frames) // MAX_SLICES
    if step < 2:  # also NIfTI, which has no frames
        return enhancement(volumes.read(scan))
    return enhancement(read_scan(replace(scan, frames=scan.frames[::step])))


def enhancement(volume: Volume) -> Enhancement:
    """Enhancement of a volume of HU with its axes in any order and direction."""
    volume = canonical(volume)
    is_display = volume.array.min() > AIR_HU  # gray values, not HU
    if is_display or max(volume.spacing_mm[1:]) > COARSEST_PIXEL_MM:
        return Enhancement()
    step = max(1, round(STEP_MM / volume.spacing_mm[0]), -(-volume.shape[0] // MAX_SLICES))
    looked_at = (landmarks(hu, volume.spacing_mm[1:]) for hu in volume.array[::step])
    slices = [slice_ for slice_ in looked_at if slice_ is not None]
    if len(slices) < MIN_SLICES:
        return Enhancement()
    vessels = [hu for k in range(len(slices)) if (hu := _brightest(slices, k)) is not None]
    enough = len(vessels) >= max(MIN_SLICES, len(slices) / 3)
    pelves = np.sum([s.pelves for s in slices], axis=0)
    return Enhancement(
        liver_hu=float(np.median([s.liver_hu for s in slices])),
        aorta_hu=float(np.median(vessels)) if enough else NAN,
        share=float(np.median([s.enhanced for s in slices])),
        excreted=bool((pelves >= 2).all()),
    )


def _brightest(slices: Sequence[Landmarks], index: int) -> float | None:
    """HU of the brightest disk of a slice that two disks of its neighbors continue."""
    first, last = max(0, index - NEIGHBORS), index + NEIGHBORS
    near = [s for k, s in enumerate(slices[first : last + 1], first) if k != index]
    others = [disk for slice_ in near for disk in slice_.disks]
    going_on = [
        disk.hu
        for disk in slices[index].disks
        if sum(_continues(disk, other) for other in others) >= 2
    ]
    return max(going_on, default=None)


def _continues(disk: Disk, other: Disk) -> bool:
    apart_mm = np.hypot(*np.subtract(disk.at_mm, other.at_mm))
    return bool(
        apart_mm < SAME_VESSEL_MM and abs(disk.hu - other.hu) < max(SAME_VESSEL_HU, 0.12 * disk.hu)
    )
