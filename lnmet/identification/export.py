"""Identification as a program over one node of an examination, for `lnmet export`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.export import symbolic_shape
from jaxtyping import Array, Bool, Float, Int32

from core.infer.export import Program
from core.infer.load import Run
from lnmet.identification.config import IdentificationConfig
from lnmet.identification.infer import logits
from lnmet.model import INTENSITIES


def program(run: Run[IdentificationConfig]) -> Program:
    """Probability that a node is metastatic.

    Of HU (d, h, w, c) on the network's grid, ids (e, i, j) of the nodes on the examination's own,
    the id that is asked about and a voxel (3,) of it, as `lnmet.identification.infer` has them.
    """
    params, model_state = run.weights()
    sizes = symbolic_shape("d, h, w, e, i, j")
    inputs = [
        jax.ShapeDtypeStruct((*sizes[:3], len(run.cfg.data.phases)), jnp.float32),
        jax.ShapeDtypeStruct(sizes[3:], jnp.int32),
        jax.ShapeDtypeStruct((), jnp.int32),
        jax.ShapeDtypeStruct((3,), jnp.int32),
    ]
    return Program(partial(_ask, run.cfg), {"params": params, **model_state}, inputs)


def _ask(
    cfg: IdentificationConfig,
    variables: Any,
    image: Float[Array, "d h w c"],
    ids: Int32[Array, "e i j"],
    node: Int32[Array, ""],
    middle: Int32[Array, "3"],
) -> Float[Array, ""]:
    shape, sizes = cfg.data.patch, list(zip(image.shape[:3], ids.shape, strict=True))
    # Whole numbers throughout: halves of voxels are no matter of rounding.
    at = [(2 * middle[a] + 1) * new // (2 * old) for a, (new, old) in enumerate(sizes)]
    voxels = [k - n // 2 + jnp.arange(n) for k, n in zip(at, shape, strict=True)]
    inside = _both([(v >= 0) & (v < new) for v, (new, _) in zip(voxels, sizes, strict=True)])
    on_grid = [jnp.clip(v, 0, new - 1) for v, (new, _) in zip(voxels, sizes, strict=True)]
    outside = jnp.rint(jnp.asarray(variables[INTENSITIES]["mean"]))[None, None, None]
    crop = jnp.where(inside[..., None], jnp.rint(image[jnp.ix_(*on_grid)]), outside)
    nearest = [
        jnp.clip((2 * v + 1) * old // (2 * new), 0, old - 1)
        for v, (new, old) in zip(voxels, sizes, strict=True)
    ]
    instance = (ids[jnp.ix_(*nearest)] == node) & inside
    instance = instance.at[tuple(n // 2 for n in shape)].set(True)
    return jax.nn.softmax(logits(cfg, variables, crop[None], instance[None]))[0, 1]


def _both(along: Sequence[Bool[Array, " n"]]) -> Bool[Array, "d h w"]:
    d, h, w = along
    return d[:, None, None] & h[None, :, None] & w[None, None, :]
