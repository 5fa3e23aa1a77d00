"""What a recipe needs on a machine that is not here, from made-up cases instead of data."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from core.commands import plan as planning
from core.plan.job import Job, on_disk
from core.plan.program import num_bytes
from core.preprocess.crop import Box
from lnmet import networks, segmentation_train
from lnmet.config import ORGANS, Config, Target
from lnmet.data import Prepared
from lnmet.identification import infer as identification_infer
from lnmet.identification import train as identification_train
from lnmet.identification.config import IdentificationConfig
from lnmet.labels import CLASSES, METASTATIC, NODE, PDAC, classes
from lnmet.recipes import AnyConfig
from lnmet.status import infer as status_infer
from lnmet.status import train as status_train
from lnmet.status.config import StatusConfig
from lnmet.status.data import Example, num_inputs
from lnmet.status.pictures import tumor_of

SHAPE = (96, 224, 224)
NUM_PATIENTS = 749
"""Of the discovery set, of which 64 % to learn from (Sec. IV-A)."""
NUM_NODES = 2467
"""Of these patients, and likewise (Sec. IV-A)."""


def plan(
    cfg: AnyConfig, *, on: str, fsdp: bool = False, space: int = 1, json: bool = False
) -> None:
    """Say what a recipe needs on a machine, which need not be here, and no data either.

    Compiles the training step and the inference of the recipe for that machine and prints memory,
    work and communication of a chip, and the least time that these take.

    Args:
      cfg: the recipe.
      on: machine: cpu, h100:8, a100:4, or a slice of TPUs, v5e:4x4 or v5p:2x2x4.
      fsdp: cut parameters and optimizer state over the chips, as `train` does.
      space: chips that share a patch, as of `train`.
      json: print values instead of text.

    Raises:
      InputError: no such machine, its compiler is not installed, or its chips cannot share a batch.
    """
    planning.plan(cfg, job_of, on, fsdp=fsdp, space=space, as_json=json)


def job_of(cfg: AnyConfig) -> Job:
    """Training and inference of a recipe on made-up cases, as many as the paper has."""
    return _JOBS[type(cfg)](cfg)


def _segmentation(cfg: Config) -> Job:
    apply = networks.windows_of(cfg)["apply"]

    def ask(params: Any, model_state: Mapping[str, Any], windows: jax.Array) -> jax.Array:
        return apply({"params": params, **model_state}, windows)

    def windows(num_chips: int) -> tuple[jax.ShapeDtypeStruct]:
        num_channels = len(cfg.data.phases) + cfg.model.attention
        shape = (cfg.infer.batch * num_chips, *cfg.data.patch, num_channels)
        return (jax.ShapeDtypeStruct(shape, jnp.float32),)

    case = _case(cfg)
    task = segmentation_train.build(cfg, [case])
    return Job(task, cfg.run, cfg.data.batch, cfg.model.dtype, ask, windows, _cached(case))


def _identification(cfg: IdentificationConfig) -> Job:
    def ask(
        params: Any, model_state: Mapping[str, Any], image: jax.Array, instance: jax.Array
    ) -> jax.Array:
        return identification_infer.logits(cfg, {"params": params, **model_state}, image, instance)

    def crops(num_chips: int) -> tuple[jax.ShapeDtypeStruct, ...]:
        shape = (cfg.infer.batch * num_chips, *cfg.data.patch)
        return (
            jax.ShapeDtypeStruct((*shape, len(cfg.data.phases)), jnp.int16),
            jax.ShapeDtypeStruct(shape, jnp.uint8),
        )

    case = _case(cfg)
    cases = [case] * (NUM_NODES * 16 // 25 // len(case.nodes))
    task, run = identification_train.build(cfg, cases), identification_train.in_steps(cfg, cases)
    return Job(task, run, cfg.data.batch, cfg.model.dtype, ask, crops, _cached(case))


def _status(cfg: StatusConfig) -> Job:
    def ask(params: Any, model_state: Mapping[str, Any], *arrays: jax.Array) -> jax.Array:
        return status_infer.logits(cfg, {"params": params, **model_state}, *arrays)

    def pictures(num_chips: int) -> tuple[jax.ShapeDtypeStruct, ...]:
        num = -(-num_inputs(cfg) // num_chips) * num_chips
        flat = (num, cfg.data.size, cfg.data.size)
        shape = (num, *cfg.data.box) if cfg.model.network == "resnet3d" else flat
        return (
            jax.ShapeDtypeStruct((*shape, len(cfg.data.phases)), jnp.int16),
            jax.ShapeDtypeStruct(shape, jnp.uint8),
            jax.ShapeDtypeStruct((num,), jnp.float32),
        )

    case = _case(cfg)
    patients = [Example(case, False, 0.0)] * (NUM_PATIENTS * 16 // 25)
    task, run = status_train.build(cfg, patients), status_train.length(cfg, len(patients))
    return Job(task, run, cfg.data.batch, cfg.model.dtype, ask, pictures, _cached(case))


_JOBS: Mapping[type[AnyConfig], Callable[[Any], Job]] = {
    Config: _segmentation,
    IdentificationConfig: _identification,
    StatusConfig: _status,
}


def _cached(case: Prepared) -> int:
    """Bytes of the prepared cases of all patients, but for the slices of a tumor."""
    arrays = case.image, case.label, case.attention, case.nodes
    return NUM_PATIENTS * num_bytes([*arrays, case.voxels, case.hu])


def _case(cfg: AnyConfig) -> Prepared:
    """Noise with a block of each organ, a tumor, and a node of each kind."""
    phases = cfg.data.phases
    image = np.random.default_rng(0).integers(-100, 240, (*SHAPE, len(phases)), np.int16)
    label, nodes = np.zeros(SHAPE, np.uint8), []
    for id_ in range(1, len(ORGANS) + 1):
        label[20:70, 30:60, 18 * id_ : 18 * id_ + 14] = id_
    label[40:60, 70:90, 90:110] = PDAC
    for id_, column in ((NODE, 130), (METASTATIC, 160)):
        label[50:58, 80:88, column : column + 8] = id_
        nodes.append([id_ == METASTATIC, 54, 84, column + 4, 512])
    found: dict[Target, np.ndarray] = {target: classes(label, target) for target in CLASSES}
    stored = on_disk(image=image, label=label, attention=np.ones(SHAPE, np.float16))
    return Prepared(
        "made up",
        "made up",
        "",
        phases=phases,
        image=stored["image"],
        label=stored["label"],
        attention=stored["attention"],
        box=Box((0, 0, 0), SHAPE),
        voxels={
            target: np.column_stack([ids[ids > 0], np.argwhere(ids)]).astype(np.int32)
            for target, ids in found.items()
        },
        hu={target: image[ids > 0].T[:, :1000] for target, ids in found.items()},
        annotated=frozenset(range(1, METASTATIC + 1)),
        nodes=np.array(nodes, np.int32),
        tumor=tumor_of(image, label == PDAC),
        status=True,
    )
