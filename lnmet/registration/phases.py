"""The arterial phase on the grid of the venous one, whatever grids the two scans came on."""

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from core.volume import Volume
from lnmet.registration import convexadam, deeds, deeds_affine
from lnmet.registration.common import Pair, in_common
from lnmet.registration.config import MethodName, RegistrationConfig
from lnmet.registration.fields import warp
from lnmet.registration.grids import to_scan
from lnmet.registration.mind import mind_ssc
from lnmet.registration.quality import folding_fraction, inverse_consistency_mm
from lnmet.registration.volumes import AIR_HU, warp_volume


class Method(NamedTuple):
    """Functions of (fixed, moving, numbers of the method), the images on one grid.

    Args:
      one_way: gives the field.
      both_ways: gives it, and the one from the moving to the fixed image.
    """

    one_way: Callable[[np.ndarray, np.ndarray, Any], np.ndarray]
    both_ways: Callable[[np.ndarray, np.ndarray, Any], tuple[np.ndarray, np.ndarray]]


METHODS: Mapping[MethodName, Method] = {
    "convexadam": Method(convexadam.register, convexadam.register_both),
    "deeds": Method(deeds.register, deeds.register_both),
}
"""By their name, which is also that of their numbers in the config."""


def method_of(cfg: RegistrationConfig) -> Method:
    """The method of a config, behind an affine map where that is asked for."""
    if not cfg.affine:
        return METHODS[cfg.method]
    align = deeds_affine.register_aligned
    return Method(
        align,
        lambda fixed, moving, numbers: (
            align(fixed, moving, numbers),
            align(moving, fixed, numbers),
        ),
    )


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
      venous_frame: frame of reference, "" if not known.
      arterial_frame: likewise; if the two differ, positions are compared nevertheless, and a note
        says so.

    Returns:
      The warped scan, the field, and in `quality`: "method", "seconds" it took, "overlap" (share of
      the smaller body that both scans show), "folding_percent", "inverse_consistency_mm" (mean over
      the body, None unless `cfg.both_ways`), "mind_distance_before" and "mind_distance_after" (mean
      squared difference of the descriptors over the body).

    Raises:
      InputError: less of the body in common than `cfg.min_overlap`.
    """
    notes = ()
    if venous_frame and arterial_frame and venous_frame != arterial_frame:
        notes = (
            "the phases have different frames of reference: their positions were taken as if they "
            "were one",
        )
    pair = in_common(venous, arterial, cfg, notes)
    method, numbers = method_of(cfg), getattr(cfg, cfg.method)
    started = time.perf_counter()
    if cfg.both_ways:
        forward, backward = method.both_ways(pair.fixed, pair.moving, numbers)
    else:
        forward, backward = method.one_way(pair.fixed, pair.moving, numbers), None
    seconds = time.perf_counter() - started
    field = to_scan(forward, pair.grid, venous.shape)
    quality = {"method": cfg.method, "seconds": seconds, "overlap": pair.overlap}
    quality |= _judged(pair, forward, backward, cfg.spacing_mm)
    return Registration(warp_volume(arterial, venous, field, fill=AIR_HU), field, quality, notes)


def _judged(
    pair: Pair,
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
        "folding_percent": 100 * float(_folding(forward)),
        "inverse_consistency_mm": there_and_back,
        "mind_distance_before": float(before),
        "mind_distance_after": float(after),
    }


_folding = jax.jit(folding_fraction)


@jax.jit
def _mind_distance(
    fixed: Float[Array, "d h w"],
    moving: Float[Array, "d h w"],
    body: Bool[Array, "d h w"],
    field: Float[Array, "3 d h w"],
) -> Float[Array, ""]:
    a, b = (mind_ssc(image, radius=1, dilation=2) for image in (fixed, warp(moving, field)))
    return jnp.mean(jnp.mean((a - b) ** 2, axis=-1), where=body)


@jax.jit
def _inconsistency_mm(
    forward: Float[Array, "3 d h w"],
    backward: Float[Array, "3 d h w"],
    spacing_mm: Float[Array, ""],
    body: Bool[Array, "d h w"],
) -> Float[Array, ""]:
    spacing = jnp.broadcast_to(spacing_mm, 3)
    return jnp.mean(inverse_consistency_mm(forward, backward, spacing), where=body)
