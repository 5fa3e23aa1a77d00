"""Ultrasound regions: which parts of a screen are a scan, and how many centimeters a pixel spans.

Source: DICOM PS3.3, C.8.5.5 (US Region Calibration).
"""

from collections.abc import Sequence

import numpy as np
from pydicom import Dataset

from core.volume import Region, same_scale

TWO_DIMENSIONAL, CENTIMETER, MM_PER_CM = 1, 3, 10.0
_CORNERS = ("MinY0", "MaxY1", "MinX0", "MaxX1")


def regions_of(header: Dataset, size: tuple[int, int]) -> tuple[Region, ...]:
    """Two-dimensional regions in centimeters; one without a place is the whole picture.

    Args:
      header: with the sequence of ultrasound regions, if the file has one.
      size: (rows, columns) of the picture.
    """
    items = header.get("SequenceOfUltrasoundRegions") or []
    return tuple(_region(item, size) for item in items if _in_centimeters(item))


def common_spacing(regions: Sequence[Region]) -> tuple[float, float] | None:
    """Spacing (rows, columns) in mm that all regions have, the first's; None if they differ."""
    return regions[0].spacing_mm if same_scale(regions) else None


def _in_centimeters(item: Dataset) -> bool:
    units = [item.get(f"PhysicalUnits{a}Direction") for a in "XY"]
    deltas = [float(item.get(f"PhysicalDelta{a}") or 0) for a in "XY"]
    flat = item.get("RegionSpatialFormat") == TWO_DIMENSIONAL
    return flat and units == [CENTIMETER] * 2 and all(np.isfinite(d) and d != 0 for d in deltas)


def _region(item: Dataset, size: tuple[int, int]) -> Region:
    top, bottom, left, right = (int(item.get(f"RegionLocation{e}") or 0) for e in _CORNERS)
    down, across = (abs(float(item[f"PhysicalDelta{a}"].value)) * MM_PER_CM for a in "YX")
    if bottom <= top or right <= left:
        return Region((0, size[0]), (0, size[1]), (down, across))
    return Region((top, bottom + 1), (left, right + 1), (down, across))
