"""Pool3 features of the coarse network in a region of a scan, whatever the size of the region.

The encoder is convolutional: a feature depends on the voxels around it and on nothing else. It is
computed on tiles of one shape, each with as much of the scan around it as its features see, so that
one compilation serves every region, and tiles that meet agree.
"""

from collections.abc import Callable, Sequence
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from core import compiler, sharding
from core.infer.batches import in_batches
from core.preprocess.crop import Box, grow
from core.types import ModelState, Params, Variables
from s4c.config import ModelConfig
from s4c.model import resdsn

CELL = 2**resdsn.NUM_POOLINGS
"""Voxels along the side of a feature."""
TILE = 64
"""Voxels along the side of a tile; its features make 8³."""
HALO = 16
"""Voxels around a tile, in whole cells. Two convolutions of size 3 on each of three resolutions
reach 2 · (1 + 2 + 4) = 14 voxels beyond a feature."""
WINDOW = TILE + 2 * HALO

Cut = Callable[[Sequence[int], Sequence[int]], Float[np.ndarray, "d h w"]]
"""(start, shape) → normalised voxels of a scan; what lies outside of it is its mean."""
Extract = Callable[[Cut, Box], Float[np.ndarray, "d h w c"]]
"""(scan, region of whole cells) → its features, a voxel of them for each cell."""


def region(pancreas: Box, margin: int, shape: Sequence[int]) -> Box:
    """Region of whole cells around a pancreas.

    Args:
      pancreas: its smallest box.
      margin: voxels on each side, as far as the scan reaches.
      shape: of the scan.

    Returns:
      Box whose sides begin and end at multiples of 8; the last cell may end beyond the scan.
      Start 12, stop 61, margin 2 becomes start 8, stop 64.
    """
    box = grow(pancreas, margin, shape)
    start = tuple(a // CELL * CELL for a in box.start)
    return Box(start, tuple(-(-b // CELL) * CELL for b in box.stop))


def extractor(cfg: ModelConfig, params: Params, model_state: ModelState) -> Extract:
    """A trained coarse network as a function from a region to its features.

    Args:
      cfg: of the network.
      params: its parameters.
      model_state: its statistics.
    """
    # A region has some ten tiles: one device, one at a time, and no part of a batch is padding.
    mesh = sharding.mesh(jax.local_devices()[:1])
    variables = {"params": params, "model_state": model_state}
    predict = in_batches(compiler.of_config(tile_features, cfg), variables, batch=1, mesh=mesh)

    def extract(cut: Cut, roi: Box) -> Float[np.ndarray, "d h w c"]:
        axes = [range(a - HALO, b - HALO, TILE) for a, b in zip(roi.start, roi.stop, strict=True)]
        windows = np.stack([cut(start, (WINDOW,) * 3) for start in product(*axes)])
        tiles = predict(windows[..., None])
        side, num_channels = TILE // CELL, tiles.shape[-1]
        tiles = tiles.reshape(*map(len, axes), side, side, side, num_channels)
        whole = tiles.transpose(0, 3, 1, 4, 2, 5, 6).reshape(
            *(len(axis) * side for axis in axes), num_channels
        )
        d, h, w = (n // CELL for n in roi.shape)
        return np.ascontiguousarray(whole[:d, :h, :w])

    return extract


def tile_features(
    cfg: ModelConfig, variables: Variables, windows: Float[Array, "n d h w 1"]
) -> Float[Array, "n e i j c"]:
    """Features of the middle of each window, the tile."""
    features = resdsn.pool3(cfg, variables["params"], variables["model_state"], windows)
    rim = HALO // CELL
    inner = slice(rim, -rim)
    return features[:, inner, inner, inner].astype(jnp.float32)
