"""A classifier as a program over the region of a pancreas, for `s4c export`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import symbolic_shape
from jaxtyping import Array, Float

from core.infer.export import Program
from core.infer.load import Run
from core.types import Params
from s4c.classifier.config import ClassifierConfig, ModelConfig
from s4c.classifier.features import CELL, HALO, TILE, WINDOW, tile_features
from s4c.classifier.infer import probability
from s4c.config import Config
from s4c.config import ModelConfig as CoarseConfig

ENCODER = ("conv1", "conv2", "conv3")
"""How the layers up to the third pooling begin; the others are not in the program."""


def program(run: Run[ClassifierConfig], coarse: Run[Config]) -> Program:
    """(d, h, w) of normalised voxels → probability of a tumor.

    The region is of whole cells, with `HALO` voxels more on every side, the scan's mean beyond the
    scan.

    Args:
      run: of the classifier.
      coarse: of the network whose features it learned from.
    """
    params, model_state = coarse.weights()
    known = {name: layer for name, layer in params.items() if name.startswith(ENCODER)}
    others = jax.eval_shape(lambda: {n: p for n, p in params.items() if n not in known})
    variables = {"params": run.weights()[0], "coarse": {"params": known, **model_state}}
    shape = symbolic_shape(", ".join(f"{CELL}*{axis} + {2 * HALO}" for axis in "dhw"))
    ask = partial(_ask, run.cfg.model, coarse.cfg.model, others)
    return Program(ask, variables, [jax.ShapeDtypeStruct(shape, jnp.float32)])


def _ask(
    cfg: ModelConfig,
    coarse: CoarseConfig,
    others: Params,
    variables: Any,
    region: Float[Array, "d h w"],
) -> Float[Array, ""]:
    seen = dict(variables["coarse"])
    unused = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), others)
    params = {**seen.pop("params"), **unused}
    features = _features(coarse, {"params": params, "model_state": seen}, region)
    size = jnp.stack([jnp.asarray(n, jnp.int32) for n in features.shape[:3]])
    return probability(cfg, variables["params"], features[None], size[None])


def _features(
    cfg: CoarseConfig, variables: Any, region: Float[Array, "d h w"]
) -> Float[Array, "e i j c"]:
    """As `s4c.classifier.features.extractor` has them, tile by tile."""
    cells: Sequence[Any] = [(n - 2 * HALO) // CELL for n in region.shape]
    side = TILE // CELL
    num_tiles = [(n + side - 1) // side for n in cells]
    sizes = zip(num_tiles, region.shape, strict=True)
    padded = jnp.pad(region, [(0, n * TILE + 2 * HALO - size) for n, size in sizes])

    def tile(at: Sequence[Any]) -> Float[Array, "1 e i j c"]:
        window = lax.dynamic_slice(padded, [a * TILE for a in at], (WINDOW,) * 3)
        return tile_features(cfg, variables, window[None, ..., None])

    num_channels = jax.eval_shape(tile, (0, 0, 0)).shape[-1]
    _, rows, columns = num_tiles

    def add(i: Array, whole: Float[Array, "e i j c"]) -> Float[Array, "e i j c"]:
        at = i // (rows * columns), i // columns % rows, i % columns
        return lax.dynamic_update_slice(whole, tile(at)[0], (*(a * side for a in at), 0))

    nothing = jnp.zeros((*(n * side for n in num_tiles), num_channels), jnp.float32)
    whole = lax.fori_loop(0, num_tiles[0] * rows * columns, add, nothing)
    return whole[: cells[0], : cells[1], : cells[2]]
