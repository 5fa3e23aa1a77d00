"""What a GPU or a TPU is asked to compute: no recipe runs here, each is only lowered."""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo

import eusdaf.loss
import eusdaf.model
import fee.loss
import fee.model
import lnmet.config
import lnmet.labels
import lnmet.model
import lnmet.model.identification
import lnmet.model.status
import s4c.config
import s4c.model
import s4c.model.classifier
import s4c.model.resdsn
from core.augment.volume_resample import center_crop
from core.nn.conv import conv, conv_transpose, direct_transpose
from core.nn.pool import max_pool
from core.train.task import Task
from core.types import ModelState, Params
from lnmet.identification.config import IdentificationConfig
from lnmet.status.augment import gray, normalize
from lnmet.status.config import StatusConfig
from s4c.classifier.config import ClassifierConfig
from tests.contracts.papers import PAPERS, SIZE, Paper, full_size_recipes

PLATFORMS = ("cuda", "tpu")


def _segmentation(cfg, params, state, image):
    return lnmet.model.apply(
        cfg.model,
        params,
        _middle(cfg, state, image),
        jnp.ones((len(image), *cfg.data.patch)) if cfg.model.attention else None,
        num_classes=len(lnmet.labels.CLASSES[cfg.data.target]),
    )


def _identification(cfg, params, state, image):
    node = jnp.ones((len(image), *cfg.data.patch), bool)
    return lnmet.model.identification.apply(cfg.model, params, _middle(cfg, state, image), node)


def _middle(cfg, state, image):
    cropped = jax.vmap(partial(center_crop, patch=cfg.data.patch))(image)
    return lnmet.model.normalize(state, cropped)


def _status(cfg, params, state, image):
    mask = jnp.ones(image.shape[:-1])
    return lnmet.model.status.apply(
        cfg.model,
        params,
        state,
        normalize(gray(image, cfg.data), mask, cfg.data),
        mask[..., None],
        jnp.ones(len(image)),
    )[0]


LNMET = {
    lnmet.config.Config: _segmentation,
    IdentificationConfig: _identification,
    StatusConfig: _status,
}


def _classifier(cfg, params, state, features):
    size = jnp.full((len(features), 3), 4, jnp.int32)
    return s4c.model.classifier.apply(cfg.model, params, features, size)


S4C = {
    s4c.config.Config: lambda cfg, params, state, image: s4c.model.apply(
        cfg.model, params, state, image
    )[0],
    ClassifierConfig: _classifier,
}
FORWARD = {
    "fee": lambda cfg, params, state, image: fee.model.apply(
        cfg.model, params, state, fee.loss.normalize(image)
    )[0],
    "s4c": lambda cfg, *arrays: S4C[type(cfg)](cfg, *arrays),
    "lnmet": lambda cfg, *arrays: LNMET[type(cfg)](cfg, *arrays),
    "eusdaf": lambda cfg, params, state, image: eusdaf.model.apply(
        cfg.model, params, state, eusdaf.loss.normalize(image)
    )[0],
}
"""The network of a recipe in evaluation."""
LARGEST_WINDOW = 11
SLOW = {
    "select_and_scatter": "the gradient of max-pooling as a search through every window",
    "scatter": "sums into places that are known only when it runs",
    "sort": "nothing in a training step is in an order of its own",
    "case": "the forms of other platforms are still there",
    "while": "the loops are in the forms for CPU",
}


class Convolution(NamedTuple):
    """A convolution as StableHLO has it; numbers are per spatial axis."""

    strides: tuple[int, ...]
    image_dilation: tuple[int, ...]
    window: tuple[int, ...]
    window_dilation: tuple[int, ...]
    padding: tuple[int, ...]
    out: tuple[int, ...]
    window_from: str

    def fault(self) -> str | None:
        """Why it is none of the three that cuDNN has a kernel for; None for one of these.

        - Forward: a small window, nothing dilated.
        - BackwardInput: the transpose of a convolution with stride s in its image. The image is
          dilated by s, the stride is 1, the filter a mirrored one (XLA looks for the mirroring, and
          computes a dense convolution over the zeros without it).
        - BackwardFilter: the transpose in the filter. The window is the whole gradient of the
          output, the result is as small as a filter, the image is not dilated, the stride 1, and
          the window dilated by s.
        """
        image_dilated, window_dilated = max(self.image_dilation) > 1, max(self.window_dilation) > 1
        small_window = max(self.window) <= LARGEST_WINDOW
        if image_dilated:
            if not small_window:
                return "an image full of zeros, and a window as large as an image"
            if max(self.strides) > 1 or window_dilated or min(self.padding) < 0:
                return "an image full of zeros, not as the transpose of a strided convolution"
            mirrored = self.window_from == "stablehlo.reverse" or prod(self.window) == 1
            return None if mirrored else "an image full of zeros, under a filter not mirrored"
        if small_window and not window_dilated:
            return None
        is_filter = max(self.out) <= LARGEST_WINDOW and max(self.strides) == 1
        return None if is_filter else "a window as large as an image"


def faults(function: Callable[..., Any], *args: Any) -> list[str]:
    """What a program has that a GPU or a TPU would be slow at."""
    traced, faulty = jax.jit(function).trace(*args), []
    for platform in PLATFORMS:
        module = traced.lower(lowering_platforms=(platform,)).compiler_ir("stablehlo")
        with module.context:
            module.operation.walk(lambda op: _visit(op, faulty))
    return faulty


def _visit(op: ir.Operation, faulty: list[str]) -> ir.WalkResult:
    name = op.name.removeprefix("stablehlo.")
    if name in SLOW:
        faulty.append(f"{name}: {SLOW[name]}")
    elif name == "convolution" and (fault := read(op).fault()):
        faulty.append(f"{fault}: {op.get_asm(use_local_scope=True)}")
    return ir.WalkResult.ADVANCE


def read(op: ir.Operation) -> Convolution:
    """A `stablehlo.convolution`; what it does not name is 1, and 0 for padding."""
    names = stablehlo.ConvDimensionNumbers(op.attributes["dimension_numbers"])
    image, window, out = (ir.RankedTensorType(x.type).shape for x in (*op.operands, op.results[0]))

    def numbers(name: str) -> tuple[int, ...]:
        if name not in op.attributes:
            return (1,) * (len(image) - 2)
        return tuple(ir.DenseI64ArrayAttr(op.attributes[name]))

    owner = op.operands[1].owner
    return Convolution(
        strides=numbers("window_strides"),
        image_dilation=numbers("lhs_dilation"),
        window=tuple(window[axis] for axis in names.kernel_spatial_dimensions),
        window_dilation=numbers("rhs_dilation"),
        padding=tuple(ir.DenseIntElementsAttr(op.attributes["padding"]))
        if "padding" in op.attributes
        else (0,),
        out=tuple(out[axis] for axis in names.output_spatial_dimensions),
        window_from="argument" if isinstance(owner, ir.Block) else owner.operation.name,
    )


def like(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


class Recipe(NamedTuple):
    """A recipe at its full size; its arrays have shapes only."""

    cfg: Any
    task: Task
    params: Params
    model_state: ModelState
    batch: dict[str, jax.ShapeDtypeStruct]
    key: jax.ShapeDtypeStruct


def full_size(paper: Paper, name: str) -> Recipe:
    """Side and number of the batch as the recipe says; other arrays as its task makes them."""
    cfg = paper.recipes[name]
    task, few = paper.build(cfg), paper.build(paper.small(cfg, 2, 1))
    side = getattr(getattr(cfg, "prepare", None), "size", SIZE)
    batch = {
        name: jax.ShapeDtypeStruct(
            (cfg.data.batch, *(side if n == SIZE else n for n in x.shape[1:])), x.dtype
        )
        for name, x in next(iter(few.batches(0))).items()
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = dict(jax.eval_shape(task.init, key))
    return Recipe(cfg, task, variables.pop("params"), variables, batch, key)


@pytest.mark.parametrize(("paper", "name"), full_size_recipes())
def test_a_training_step_and_a_forward_pass_are_what_an_accelerator_is_fast_at(paper, name):
    recipe = full_size(PAPERS[paper], name)
    gradient = jax.grad(recipe.task.loss, has_aux=True)
    params, model_state, batch = recipe.params, recipe.model_state, recipe.batch
    assert not faults(gradient, params, model_state, batch, recipe.key)
    seen = batch["features"] if "features" in batch else batch["image"]
    assert not faults(partial(FORWARD[paper], recipe.cfg), params, model_state, seen)


def test_the_features_of_a_classifier_are_what_an_accelerator_is_fast_at():
    recipe = full_size(PAPERS["s4c"], "pdac-64")
    pool3 = partial(s4c.model.resdsn.pool3, recipe.cfg.model)
    assert not faults(pool3, recipe.params, recipe.model_state, like((1, 96, 96, 96, 1)))


LAYERS = [
    (partial(conv_transpose, stride=2), (1, 8, 16, 12, 3), (4, 4, 4, 3, 2)),
    (partial(conv_transpose, stride=2), (1, 64, 64, 3), (3, 3, 3, 2)),
    (partial(conv_transpose, stride=(1, 2, 2)), (1, 16, 16, 12, 3), (3, 3, 3, 3, 2)),
    (partial(conv_transpose, stride=(1, 2, 2)), (1, 16, 16, 12, 3), (1, 2, 2, 3, 2)),
    (partial(conv, padding=1), (1, 16, 12, 12, 3), (3, 3, 3, 3, 2)),
    (partial(conv, padding=1, stride=2), (1, 16, 12, 13, 3), (3, 3, 3, 3, 2)),
    (partial(conv, padding=1, stride=(1, 2, 2)), (1, 16, 12, 12, 3), (3, 3, 3, 3, 2)),
    (partial(conv, padding=(0, 1, 1), stride=(1, 2, 2)), (1, 16, 12, 12, 3), (1, 3, 3, 3, 2)),
    (partial(conv, padding=(1, 0, 0)), (1, 16, 12, 12, 3), (3, 1, 1, 3, 2)),
    (partial(conv, padding=0, stride=2), (1, 32, 32, 3), (1, 1, 3, 2)),
    (partial(conv, padding=1, stride=2, groups=4), (1, 32, 32, 8), (3, 3, 2, 12)),
    (partial(conv, padding=3, stride=2), (1, 32, 32, 3), (7, 7, 3, 2)),
    (partial(conv, padding=3, stride=(1, 2, 2)), (1, 16, 32, 32, 3), (7, 7, 7, 3, 2)),
]


def gradients(layer: Callable[..., jax.Array]) -> Callable[..., Any]:
    return jax.grad(lambda *args: jnp.square(layer(*args)).sum(), argnums=(0, 1))


@pytest.mark.parametrize(("layer", "image", "kernel"), LAYERS)
def test_both_gradients_of_a_layer_are_what_an_accelerator_is_fast_at(layer, image, kernel):
    assert not faults(gradients(layer), like(image), like(kernel))


@pytest.mark.parametrize("shape", [(1, 32, 32, 4), (1, 16, 32, 32, 4)])
@pytest.mark.parametrize("options", [{}, {"window": 3, "stride": 2, "padding": 1}])
def test_the_gradient_of_max_pooling_searches_and_scatters_nothing(options, shape):
    def loss(image):
        return jnp.square(max_pool(image, **options)).sum()

    assert not faults(jax.grad(loss), like(shape))


def test_the_check_sees_a_convolution_over_a_dilated_image():
    over_zeros = partial(direct_transpose, stride=2)
    arrays = like((1, 8, 16, 12, 3)), like((4, 4, 4, 3, 2))
    assert "under a filter not mirrored" in faults(over_zeros, *arrays)[0]
    assert any("as large as an image" in f for f in faults(gradients(over_zeros), *arrays))


def test_the_check_sees_a_search_for_the_largest():
    def loss(image):
        return lax.reduce_window(
            image, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"
        ).sum()

    assert "select_and_scatter" in faults(jax.grad(loss), like((1, 8, 8, 1)))[0]
