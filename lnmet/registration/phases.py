"""The arterial phase on the grid of the venous one, whatever grids the two scans came on."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from core.compiler import jit
from core.errors import InputError
from core.preprocess.crop import Box, bounding_box, grow
from core.volume import Volume
from lnmet.registration import convexadam, grids
from lnmet.registration.config import RegistrationConfig
from lnmet.registration.fields import identity, sample, warp
from lnmet.registration.mind import mind_ssc
from lnmet.registration.quality import folding_fraction, inverse_consistency_mm

Method = Callable[[np.ndarray, np.ndarray, Any], np.ndarray]
METHODS: Mapping[str, Method] = {"convexadam": convexadam.register}
"""(fixed, moving, numbers of the method) → field, by the field of the config with the numbers."""

AIR_HU = -1024.0
"""Where the arterial scan did not reach."""
SLICES = 8
"""That are warped at a time."""


class Registration(NamedTuple):
    """Two phases on one grid.

    Args:
      warped: the arterial scan on the venous grid, −1024 HU where it did not reach.
      field: displacement (3, d, h, w) of the venous grid, axis 0 = (z, y, x), in its voxels: what
        lies at voxel x lies at x + u(x) of the arterial scan, put on the venous grid in space.
      quality: what `register_phases` found out; numbers and names for a JSON file.
      notes: what a reader should know about this pair.
    """

    warped: Volume
    field: Float[np.ndarray, "3 d h w"]
    quality: dict[str, Any]
    notes: tuple[str, ...]


class _Pair(NamedTuple):
    """Both scans on the grid on which they are registered, and the body there."""

    grid: grids.Grid
    fixed: Float[np.ndarray, "d h w"]
    moving: Float[np.ndarray, "d h w"]
    body: Bool[np.ndarray, "d h w"]
    overlap: float


def register_phases(
    venous: Volume,
    arterial: Volume,
    cfg: RegistrationConfig,
    *,
    venous_frame: str = "",
    arterial_frame: str = "",
) -> Registration:
    """Register the arterial to the venous phase and bring it onto the venous grid.

    The scans may differ in extent, spacing and orientation: they are brought together by their
    positions in space, registered on a grid of their own, and the arterial scan is interpolated
    once, from its own voxels.

    Args:
      venous: HU.
      arterial: HU.
      cfg: the method and its numbers.
      venous_frame: UID of the frame of reference, "" if not known.
      arterial_frame: likewise; if the two differ, positions are compared nevertheless, and a note
        says so.

    Returns:
      The warped scan, the field, and in `quality`: "method", "seconds" of the registration,
      "overlap" (share of the smaller body that both scans show), "folding_percent",
      "inverse_consistency_mm" (mean over the body, None unless asked for), "mind_distance_before"
      and "mind_distance_after" (mean squared difference of the descriptors over the body).

    Raises:
      InputError: less of the body in common than `cfg.min_overlap`.
    """
    notes = ()
    if venous_frame and arterial_frame and venous_frame != arterial_frame:
        notes = (
            f"the phases have different frames of reference ({venous_frame}, {arterial_frame}): "
            f"their positions were taken as if they were one",
        )
    pair = _common(venous, arterial, cfg, notes)
    method, numbers = METHODS[cfg.method], getattr(cfg, cfg.method)
    started = time.perf_counter()
    forward = method(pair.fixed, pair.moving, numbers)
    seconds = time.perf_counter() - started
    backward = method(pair.moving, pair.fixed, numbers) if cfg.both_ways else None
    field = grids.to_scan(forward, pair.grid, venous.shape)
    quality = {"method": cfg.method, "seconds": seconds, "overlap": pair.overlap}
    quality |= _judged(pair, forward, backward, cfg.spacing_mm)
    return Registration(warp_volume(arterial, venous, field), field, quality, notes)


def warp_volume(
    moving: Volume, fixed: Volume, field: Float[np.ndarray, "3 d h w"], *, fill: float = AIR_HU
) -> Volume:
    """Scan of any grid on the fixed grid, through a field, a few slices at a time.

    Args:
      moving: HU.
      fixed: gives the grid.
      field: of the fixed grid, in its voxels.
      fill: where the moving scan did not reach.

    Returns:
      Same type of voxels, integers rounded.
    """
    to_moving = np.linalg.inv(moving.affine_lps) @ fixed.affine_lps
    values = jnp.asarray(moving.array)[..., None]
    slices = min(SLICES, fixed.shape[0])
    warped = np.empty(fixed.shape, moving.array.dtype)
    for start in range(0, fixed.shape[0], slices):
        # The last ones reach back, so that all parts have one shape.
        at = slice(min(start, fixed.shape[0] - slices), None)
        at = slice(at.start, at.start + slices)
        offset = to_moving[:3, 3] + to_moving[:3, 0] * at.start
        hu = np.asarray(_warped_part(values, field[:, at], to_moving[:3, :3], offset, fill))
        warped[at] = np.rint(hu) if np.issubdtype(warped.dtype, np.integer) else hu
    return fixed.with_array(warped)


@jit
def _warped_part(
    values: Real[Array, "i j k 1"],
    field: Float[Array, "3 d h w"],
    linear: Float[Array, "3 3"],
    offset: Float[Array, "3"],
    fill: Float[Array, ""],
) -> Float[Array, "d h w"]:
    places = identity(field.shape[1:]) + field
    places = jnp.einsum("ab,bdhw->adhw", linear, places, precision="highest")
    return sample(values, places + offset.reshape(3, 1, 1, 1), fill=fill)[..., 0]


def _common(
    venous: Volume, arterial: Volume, cfg: RegistrationConfig, notes: tuple[str, ...]
) -> _Pair:
    """Both scans around the body that they have in common."""
    whole = grids.isotropic(venous, cfg.spacing_mm)
    to_venous, to_arterial = (grids.between(venous, whole, scan) for scan in (venous, arterial))
    fixed = grids.resample(venous, to_venous, whole.shape, cfg.spacing_mm)
    moving = grids.resample(arterial, to_arterial, whole.shape, cfg.spacing_mm)
    inside = grids.covered(to_arterial, whole.shape, arterial)
    bodies = [grids.body(hu, cfg.body_hu) for hu in (fixed, moving)]
    in_common = inside & bodies[0] & bodies[1]
    smaller = min(bodies[0].sum(), _body_voxels(arterial, cfg))
    overlap = min(1.0, float(in_common.sum() / max(smaller, 1)))
    box = bounding_box(inside & (bodies[0] | bodies[1]))
    if box is None or overlap < cfg.min_overlap:
        raise InputError(
            f"the arterial and the venous scan have {overlap:.0%} of the smaller body in common, "
            f"at least {cfg.min_overlap:.0%} are needed",
            hint="; ".join(("check that both are of one examination and show the abdomen", *notes)),
        )
    box = grow(box, round(cfg.margin_mm / cfg.spacing_mm), whole.shape)
    box = grids.in_multiples(box, cfg.multiple)
    parts = [_clamped(array, box) for array in (fixed, moving, in_common)]
    return _Pair(grids.part(whole, box), parts[0], parts[1], parts[2], overlap)


def _body_voxels(scan: Volume, cfg: RegistrationConfig) -> float:
    """Size of the whole body in a scan, in voxels of the registration's grid."""
    strides = [max(1, int(cfg.spacing_mm / mm)) for mm in scan.spacing_mm]
    body = grids.body(scan.array[tuple(slice(None, None, n) for n in strides)], cfg.body_hu)
    return float(body.sum() * scan.voxel_mm3 * np.prod(strides) / cfg.spacing_mm**3)


def _clamped(array: np.ndarray, box: Box) -> np.ndarray:
    """Part of an array, the border repeated where the box reaches beyond it."""
    spans = (
        np.clip(np.arange(a, b), 0, n - 1)
        for a, b, n in zip(box.start, box.stop, array.shape, strict=True)
    )
    return array[np.ix_(*spans)]


def _judged(
    pair: _Pair,
    forward: Float[np.ndarray, "3 d h w"],
    backward: Float[np.ndarray, "3 d h w"] | None,
    spacing_mm: float,
) -> dict[str, float | None]:
    before = _mind_distance(pair.fixed, pair.moving, pair.body, np.zeros_like(forward))
    after = _mind_distance(pair.fixed, pair.moving, pair.body, forward)
    there_and_back = None
    if backward is not None:
        there_and_back = float(_inconsistency_mm(forward, backward, spacing_mm, pair.body))
    return {
        "folding_percent": 100 * float(jit(folding_fraction)(forward)),
        "inverse_consistency_mm": there_and_back,
        "mind_distance_before": float(before),
        "mind_distance_after": float(after),
    }


@jit
def _mind_distance(
    fixed: Float[Array, "d h w"],
    moving: Float[Array, "d h w"],
    body: Bool[Array, "d h w"],
    field: Float[Array, "3 d h w"],
) -> Float[Array, ""]:
    a, b = (mind_ssc(image, radius=1, dilation=2) for image in (fixed, warp(moving, field)))
    return jnp.mean(jnp.mean((a - b) ** 2, axis=-1), where=body)


@jit
def _inconsistency_mm(
    forward: Float[Array, "3 d h w"],
    backward: Float[Array, "3 d h w"],
    spacing_mm: Float[Array, ""],
    body: Bool[Array, "d h w"],
) -> Float[Array, ""]:
    spacing = jnp.broadcast_to(spacing_mm, 3)
    return jnp.mean(inverse_consistency_mm(forward, backward, spacing), where=body)
