"""The grid that S4C's networks see: a scan's own, or one of a spacing that holds for all scans."""

from dataclasses import replace
from math import ceil

import numpy as np
from jaxtyping import Real

from core.preprocess.regrid import Regrid, Spacing
from core.volume import Volume
from s4c.cascade import Segmentation, most_probable
from s4c.config import DecisionConfig, PrepareConfig

ROUNDED = 1e-6
"""A little less or more than a whole number of voxels is that number."""


def network_grid(volume: Volume, cfg: PrepareConfig) -> Regrid | None:
    """The way to the networks' grid; None where they see the scan's own.

    Args:
      volume: canonical.
      cfg: with the spacing of the grid.
    """
    if cfg.spacing_mm is None:
        return None
    return Regrid(volume.shape, volume.spacing_mm, cfg.spacing_mm)


def seen(volume: Volume, grid: Regrid | None) -> Real[np.ndarray, "e i j"]:
    """HU on the networks' grid."""
    return volume.array if grid is None else grid.image(volume.array)


def spacing_seen(volume: Volume, grid: Regrid | None) -> Spacing:
    """Spacing of the networks' grid."""
    return volume.spacing_mm if grid is None else grid.spacing_mm


def spacing_text(cfg: PrepareConfig) -> str:
    """Spacing as an error names it."""
    if cfg.spacing_mm is None:
        return "voxels of each scan's own size"
    return f"voxels of {' × '.join(f'{mm:g}' for mm in cfg.spacing_mm)} mm"


def voxel_mm3(volume: Volume, grid: Regrid | None) -> float:
    """Volume of a voxel of the networks' grid."""
    return volume.voxel_mm3 if grid is None else volume.voxel_mm3 * grid.coarsening


def on_scan(segmentation: Segmentation, grid: Regrid | None) -> Segmentation:
    """Segmentation on the scan's own grid.

    Where the label is another than the probabilities have it, for a component was removed, say, it
    counts as certain.
    """
    if grid is None:
        return segmentation
    label, probs, roi = segmentation.label, segmentation.probs, segmentation.roi
    if probs is None:
        own = grid.ids_back(label)
    else:
        probs, decided = probs.copy(), label != most_probable(probs)
        probs[decided] = np.eye(probs.shape[-1], dtype=probs.dtype)[label[decided]]
        own = grid.label_back(probs).astype(np.uint8)
    return segmentation._replace(label=own, probs=None, roi=roi and grid.box_back(roi))


def in_voxels(cfg: DecisionConfig, voxel_mm3: float) -> DecisionConfig:
    """The least numbers and the saturation in voxels of the networks' grid.

    Args:
      cfg: of the decision.
      voxel_mm3: volume of a voxel of that grid.
    """
    if cfg.voxel_mm is None:
        return cfg
    each = cfg.voxel_mm**3 / voxel_mm3
    names = ("min_tumor_voxels", "min_duct_voxels", "saturation_voxels")
    counts = {name: ceil(getattr(cfg, name) * each - ROUNDED) for name in names}
    return replace(cfg, **counts, voxel_mm=None)


def margins(voxels: int, cfg: DecisionConfig, spacing_mm: Spacing) -> tuple[int, int, int]:
    """Voxels of the networks' grid (d, h, w) that a margin reaches over.

    Args:
      voxels: the margin, as `DecisionConfig.voxel_mm` counts.
      cfg: of the decision.
      spacing_mm: of the networks' grid.
    """
    if cfg.voxel_mm is None:
        return voxels, voxels, voxels
    depth, height, width = (ceil(voxels * cfg.voxel_mm / mm - ROUNDED) for mm in spacing_mm)
    return depth, height, width
