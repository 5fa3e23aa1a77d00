"""The status as a program over an examination, for `lnmet export`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.export import symbolic_shape
from jaxtyping import Array, Bool, Float, Int32, UInt8

from core.infer.export import Program
from core.infer.load import Run
from lnmet.status.config import KEPT_SLICES, StatusConfig
from lnmet.status.infer import logits
from lnmet.status.pictures import PLANES


def program(run: Run[StatusConfig]) -> Program:
    """Probability that a patient has a metastatic node, the mean over pictures.

    Of HU (d, h, w, c) and the tumor (d, h, w), of which there is a voxel, on the network's grid,
    and of mm³ of the largest metastatic node, as `lnmet.status.infer` has them.
    """
    params, model_state = run.weights()
    shape = symbolic_shape("d, h, w")
    inputs = [
        jax.ShapeDtypeStruct((*shape, len(run.cfg.data.phases)), jnp.float32),
        jax.ShapeDtypeStruct(shape, jnp.bool_),
        jax.ShapeDtypeStruct((), jnp.float32),
    ]
    return Program(partial(_ask, run.cfg), {"params": params, **model_state}, inputs)


def _ask(
    cfg: StatusConfig,
    variables: Any,
    image: Float[Array, "d h w c"],
    tumor: Bool[Array, "d h w"],
    volume_mm3: Float[Array, ""],
) -> Float[Array, ""]:
    image = jnp.rint(image)
    if cfg.model.network == "resnet3d":
        pictures = [_around(image, tumor, cfg.data.box, cfg)]
    else:
        ranks = range(cfg.data.slices)
        pictures = [_picture(image, tumor, a, r, cfg) for a in range(len(PLANES)) for r in ranks]
    hu, mask = (jnp.stack(arrays) for arrays in zip(*pictures, strict=True))
    told = logits(cfg, variables, hu, mask, jnp.broadcast_to(volume_mm3, len(pictures)))
    return jax.nn.softmax(told)[:, 1].mean()


def _picture(
    image: Float[Array, "d h w c"],
    tumor: Bool[Array, "d h w"],
    axis: int,
    rank: int,
    cfg: StatusConfig,
) -> tuple[Array, Array]:
    """As `lnmet.status.pictures.picture`."""
    others = tuple(a for a in range(3) if a != axis)
    areas = tumor.sum(others, dtype=jnp.int32)
    kept = jnp.minimum(KEPT_SLICES, jnp.count_nonzero(areas))
    chosen = jnp.argsort(-areas, stable=True)[rank % kept]
    slice_, mask = (jnp.take(array, chosen, axis) for array in (image, tumor))
    return _around(slice_, mask, (cfg.data.size,) * 2, cfg)


def _around(
    image: Float[Array, "*s c"], mask: Bool[Array, "*s"], shape: tuple[int, ...], cfg: StatusConfig
) -> tuple[Float[Array, "*t c"], UInt8[Array, "*t"]]:
    """Voxels around the centroid of a tumor, which comes to index shape // 2."""
    outside = round(cfg.data.window_hu[0])
    sides = [(n, n) for n in shape]
    hu = jnp.pad(image, [*sides, (0, 0)], constant_values=outside)
    # What lies at k before the padding lies at k + n behind it.
    starts = [k + n - n // 2 for k, n in zip(_centroid(mask), shape, strict=True)]
    in_tumor = lax.dynamic_slice(jnp.pad(mask.astype(jnp.uint8), sides), starts, shape)
    return lax.dynamic_slice(hu, (*starts, 0), (*shape, image.shape[-1])), in_tumor


def _centroid(mask: Bool[Array, "*s"]) -> list[Int32[Array, ""]]:
    """As `lnmet.status.pictures.centroid`, in whole numbers."""
    num, middle = mask.sum(dtype=jnp.int32), []
    for axis, size in enumerate(mask.shape):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        total = (mask.sum(others, dtype=jnp.int32) * jnp.arange(size)).sum()
        middle.append(total // num + (2 * (total % num) >= num))
    return middle
