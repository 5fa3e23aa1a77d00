"""The pancreatic duct and the common bile duct, both of which a tumor can dam up."""

import numpy as np
from numpy.typing import NDArray

from core.phantom.ct.curves import arc_fraction, curve
from core.phantom.ct.painting import Stroke, stroke
from core.phantom.ct.pancreas import upstream
from core.phantom.ct.patient import Patient
from core.phantom.ct.shapes import tube
from core.phantom.ct.tumor import Tumor


def pancreatic_duct(patient: Patient, line: NDArray, radii: NDArray, tumor: Tumor | None) -> Stroke:
    """The main duct: thinner than 2 mm, and 5 to 8 mm wide upstream of a tumor.

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
    return stroke(patient, tube(path, width * taper), "duct", "duct", thin_mm=float(width.mean()))


def _wander(rng: np.random.Generator, num_points: int) -> NDArray[np.float64]:
    """Gentle random offsets (n, 3) from a centre line, in radii."""
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
