"""Two phases of any grid on the grid on which they are registered, around the body in common."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from core.errors import InputError
from core.preprocess.crop import Box, bounding_box, grow
from core.volume import Volume
from lnmet.registration.config import RegistrationConfig
from lnmet.registration.grids import (
    Grid,
    between,
    body,
    covered,
    in_multiples,
    isotropic,
    part,
    resample,
)


class Pair(NamedTuple):
    """Both scans on the grid on which they are registered.

    Args:
      grid: where it lies on the venous scan.
      fixed: the venous scan, HU.
      moving: the arterial scan, HU, its border repeated where it does not reach.
      body: of the patient in both.
      overlap: share of the smaller body that both scans show.
    """

    grid: Grid
    fixed: Float[np.ndarray, "d h w"]
    moving: Float[np.ndarray, "d h w"]
    body: Bool[np.ndarray, "d h w"]
    overlap: float


def in_common(
    venous: Volume, arterial: Volume, cfg: RegistrationConfig, notes: tuple[str, ...]
) -> Pair:
    """Both scans around the body that they have in common.

    Args:
      venous: HU, of any grid.
      arterial: HU, of any grid.
      cfg: spacing and margin of the grid, and what counts as body.
      notes: what else a reader of the refusal should know.

    Raises:
      InputError: less of the body in common than `cfg.min_overlap`, or none.
    """
    whole = isotropic(venous, cfg.spacing_mm)
    to_venous, to_arterial = (between(venous, whole, scan) for scan in (venous, arterial))
    fixed = resample(venous, to_venous, whole.shape, cfg.spacing_mm)
    moving = resample(arterial, to_arterial, whole.shape, cfg.spacing_mm)
    inside = covered(to_arterial, whole.shape, arterial)
    bodies = [body(hu, cfg.body_hu) for hu in (fixed, moving)]
    shared = inside & bodies[0] & bodies[1]
    smaller = min(bodies[0].sum(), _body_voxels(arterial, cfg))
    overlap = min(1.0, float(shared.sum() / max(smaller, 1)))
    box = bounding_box(inside & (bodies[0] | bodies[1]))
    if box is None or overlap < cfg.min_overlap:
        raise InputError(
            f"the arterial and the venous scan have {overlap:.0%} of the smaller body in common, "
            f"at least {cfg.min_overlap:.0%} are needed",
            hint="; ".join(("check that both are of one examination and show the abdomen", *notes)),
        )
    box = grow(box, round(cfg.margin_mm / cfg.spacing_mm), whole.shape)
    box = in_multiples(box, cfg.multiple)
    parts = [_clamped(array, box) for array in (fixed, moving, shared)]
    return Pair(part(whole, box), parts[0], parts[1], parts[2], overlap)


def _body_voxels(scan: Volume, cfg: RegistrationConfig) -> float:
    """Size of the whole body in a scan, in voxels of the registration's grid."""
    strides = [max(1, int(cfg.spacing_mm / mm)) for mm in scan.spacing_mm]
    patient = body(scan.array[tuple(slice(None, None, n) for n in strides)], cfg.body_hu)
    return float(patient.sum() * scan.voxel_mm3 * np.prod(strides) / cfg.spacing_mm**3)


def _clamped(array: np.ndarray, box: Box) -> np.ndarray:
    """Part of an array, the border repeated where the box reaches beyond it."""
    spans = (
        np.clip(np.arange(a, b), 0, n - 1)
        for a, b, n in zip(box.start, box.stop, array.shape, strict=True)
    )
    return array[np.ix_(*spans)]
