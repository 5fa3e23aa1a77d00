"""What one axial slice shows of contrast: round vessels, the liver, the kidneys' pelvis.

No segmentation is needed: the spine is bone in the middle of the back, the liver the large even
region on the patient's right, and vessels are even disks that are brighter than their surroundings.
A candidate for the aorta means little in one slice; `core.phases.image` asks for it in the next
ones.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

NARROWEST_MM = 150  # a field of view that can hold liver and spine
PIXEL_MM = 2.0  # finer pixels are averaged: a vessel needs no detail, and noise falls
AIR_HU, BONE_HU = -200.0, 200.0
RADII_MM = (7, 9, 11, 13, 15)  # of the aorta
AHEAD_MM, BEHIND_MM, ASIDE_MM = 75, 20, 50  # where it may lie, from the middle of the spine's bone
MIN_BONE_MM2 = 300
LIVER_MM2 = 2500  # no other organ on the right is as large and as even
ENHANCED_HU = (95.0, 250.0)  # above tissue without contrast agent, below bone
EXCRETED_HU = 250.0
PELVIS_MM2 = (30, 1500)
KIDNEY_HU = (80.0, 250.0)

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]


class Disk(NamedTuple):
    """An even round region, brighter than what surrounds it.

    Args:
      hu: mean.
      at_mm: (y, x) of its center in the slice.
    """

    hu: float
    at_mm: tuple[float, float]


@dataclass(frozen=True)
class Landmarks:
    """What one slice through the liver shows.

    Args:
      liver_hu: median.
      disks: candidates for the aorta.
      enhanced: share of the body, without its bones, that has taken up contrast agent.
      pelves: whether excreted contrast agent is seen in the (right, left) kidney.
    """

    liver_hu: float
    disks: tuple[Disk, ...]
    enhanced: float
    pelves: tuple[bool, bool]


def landmarks(image: NDArray, spacing_mm: tuple[float, float]) -> Landmarks | None:
    """Look at one slice.

    Args:
      image: HU (H, W), rows to the back, columns to the patient's left.
      spacing_mm: of rows and columns.

    Returns:
      What is seen; None where there is no liver or no spine.
    """
    if min(np.multiply(image.shape, spacing_mm)) < NARROWEST_MM:
        return None
    image, spacing = _averaged(image, spacing_mm)
    body = _largest(image > AIR_HU)
    if body is None or (spine := _spine(image, body, spacing)) is None:
        return None
    dy, dx = (
        (np.arange(n) - center) * step
        for n, center, step in zip(image.shape, spine, spacing, strict=True)
    )
    y, x = dy[:, None], dx[None, :]
    liver = _largest(_even(image, spacing) & body & (x < -20) & (y < BEHIND_MM))
    if liver is None or np.count_nonzero(liver) * spacing[0] * spacing[1] < LIVER_MM2:
        return None
    window = body & (y > -AHEAD_MM) & (y < BEHIND_MM) & (abs(x) < ASIDE_MM)
    near_bone = ndi.binary_dilation(image > ENHANCED_HU[1], _disk(8, spacing))
    near_bone |= (abs(x) < 30) & (y > -35)
    smooth = ndi.median_filter(image, footprint=_disk(6, spacing))
    taken_up = (smooth > ENHANCED_HU[0]) & (smooth < ENHANCED_HU[1]) & body & ~near_bone
    flank = body & (y > -60) & (y < 50) & (abs(x) > 20) & (abs(x) < 95)
    return Landmarks(
        liver_hu=float(np.median(image[liver])),
        disks=tuple(_disks(image, window, spacing)),
        enhanced=np.count_nonzero(taken_up) / np.count_nonzero(body),
        pelves=(_pelvis(image, flank & (x < 0), spacing), _pelvis(image, flank & (x > 0), spacing)),
    )


def _averaged(image: NDArray, spacing_mm: tuple[float, float]) -> tuple[Array, tuple[float, float]]:
    fy, fx = (max(1, round(PIXEL_MM / step)) for step in spacing_mm)
    h, w = (n // f for n, f in zip(image.shape, (fy, fx), strict=True))
    blocks = image[: h * fy, : w * fx].astype(np.float32).reshape(h, fy, w, fx)
    return blocks.mean((1, 3)), (fy * spacing_mm[0], fx * spacing_mm[1])


def _largest(mask: Mask) -> Mask | None:
    """Largest connected region."""
    regions: NDArray = ndi.label(mask)[0]  # type: ignore[index]
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return regions == sizes.argmax() if sizes.any() else None


def _spine(image: Array, body: Mask, spacing: tuple[float, float]) -> tuple[float, float] | None:
    """Row and column of the middle of the bone in the middle of the back."""
    rows, columns = np.nonzero(body)
    top, left, height, width = rows.min(), columns.min(), np.ptp(rows), np.ptp(columns)
    middle = np.zeros_like(body)
    upper, sides = int(top + 0.45 * height), (int(left + 0.3 * width), int(left + 0.7 * width))
    middle[upper:, sides[0] : sides[1]] = True
    rows, columns = np.nonzero((image > BONE_HU) & body & middle)
    if rows.size * spacing[0] * spacing[1] < MIN_BONE_MM2:
        return None
    return float(np.median(rows)), float(np.median(columns))


def _even(image: Array, spacing: tuple[float, float]) -> Mask:
    """Soft tissue that varies little within 14 mm."""
    size: Any = [round(14 / step) for step in spacing]  # an axis each
    mean = ndi.uniform_filter(image, size)
    variance = ndi.uniform_filter(image**2, size) - mean**2
    return (variance < 25**2) & (mean > 0) & (mean < 200)


def _disks(image: Array, window: Mask, spacing: tuple[float, float]) -> list[Disk]:
    """Centers that are the best within 5 pixels, for each radius."""
    place = tuple(
        slice(max(0, s.start - 12), s.stop + 12) for s in ndi.find_objects(window.view(np.uint8))[0]
    )
    crop, inside = image[place], window[place]
    disks = []
    for radius in RADII_MM:
        core = _disk(radius - 2, spacing).astype(np.float32)
        core /= core.sum()
        mean = ndi.convolve(crop, core)
        spread = np.sqrt(np.maximum(ndi.convolve(crop**2, core) - mean**2, 0))
        # Three quarters of the ring must be darker: an aorta may touch bone, and no vertebra fits.
        stands_out = mean - ndi.percentile_filter(crop, 75, footprint=_ring(radius, spacing))
        fits = inside & (mean > 0) & (spread < np.maximum(22, 0.1 * mean))
        fits &= stands_out > np.maximum(15, 0.15 * mean)
        score = np.where(fits, stands_out, 0)
        for y, x in np.argwhere(fits & (ndi.maximum_filter(score, 5) == score)):
            at = ((y + place[0].start) * spacing[0], (x + place[1].start) * spacing[1])
            disks.append(Disk(float(mean[y, x]), at))
    return disks


def _pelvis(image: Array, flank: Mask, spacing: tuple[float, float]) -> bool:
    """Whether something very bright lies within enhanced kidney; bowel and ribs lie in fat."""
    regions: NDArray = ndi.label((image > EXCRETED_HU) & flank)[0]  # type: ignore[index]
    for number in range(1, regions.max() + 1):
        region = regions == number
        if not PELVIS_MM2[0] <= np.count_nonzero(region) * spacing[0] * spacing[1] <= PELVIS_MM2[1]:
            continue
        far, near = (np.asarray(ndi.binary_dilation(region, _disk(mm, spacing))) for mm in (9, 4))
        around = np.logical_and(far, np.logical_not(near))
        if (
            KIDNEY_HU[0] < np.percentile(image[around], 25)
            and np.median(image[around]) < KIDNEY_HU[1]
        ):
            return True
    return False


def _disk(
    radius_mm: float, spacing: tuple[float, float], half: tuple[int, int] | None = None
) -> Mask:
    ny, nx = half or (int(radius_mm // spacing[0]), int(radius_mm // spacing[1]))
    y, x = np.mgrid[-ny : ny + 1, -nx : nx + 1]
    return (y * spacing[0]) ** 2 + (x * spacing[1]) ** 2 <= radius_mm**2


def _ring(radius_mm: float, spacing: tuple[float, float]) -> Mask:
    outer = _disk(radius_mm + 5, spacing)
    return outer & ~_disk(radius_mm + 1.5, spacing, (outer.shape[0] // 2, outer.shape[1] // 2))
