"""From prepared cases to the batches of a step: oversampled foreground, informative negatives.

Every example of a run has a number and a generator of its own: a batch is a pure function of
(seed, step), and an interruption changes nothing that is drawn.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int16, Int32
from numpy.random import Generator
from numpy.typing import NDArray

from core.augment.loading import loading_shape
from core.data import patches
from core.data.cache import Stored
from core.data.epochs import numbers_of_host
from core.datasets.channels import Phase
from core.errors import InputError
from core.preprocess.crop import Box
from core.preprocess.fingerprint import Intensities, intensities
from core.random import rng
from core.types import Batch
from lnmet.config import Axes, Config, DataConfig, Target
from lnmet.identification.config import IdentificationConfig
from lnmet.labels import annotated_classes, classes, has_target
from lnmet.status.pictures import Tumor

MAX_TRIES = 50
"""Draws of an informative patch; the last one is taken whatever it holds."""


NO_NODES = np.empty((0, 5), np.int32)


class Prepared(NamedTuple):
    """A case ready to cut patches from; arrays stay on disk until a patch is read."""

    id: str
    patient: str
    digest: str
    """Identity of its venous HU, whatever its file is called."""
    phases: tuple[Phase, ...]
    """Channels of the image."""
    image: Stored
    """HU int16 (d, h, w, c), canonical orientation."""
    label: Stored
    """Ids of `lnmet.labels` uint8 (d, h, w)."""
    attention: Stored | None
    """Float16 (d, h, w) in [0, 1]; None where no organ is known."""
    box: Box
    """Around the organs with their margin, where patches are cut."""
    voxels: Mapping[Target, Int32[np.ndarray, "n 4"]]
    """Some voxels of each class of a target: class, and index (d, h, w)."""
    hu: Mapping[Target, Int16[np.ndarray, "c n"]]
    """HU of random voxels of a target in each channel; none where the case has no such voxel."""
    annotated: frozenset[int]
    """Ids that the case is annotated with."""
    nodes: Int32[np.ndarray, "n 5"] = NO_NODES
    """Of `lnmet.nodes.annotated_nodes`; none where metastatic ones are not told from others."""
    tumor: Tumor | None = None
    """Slices with the largest tumor area; None where no tumor is known."""
    status: bool | None = None
    """Whether the patient has a metastatic node; None where that is not known."""
    ct_reported: bool | None = None
    """Whether a radiologist read one from CT; None where that is not known."""


def usable(cases: Sequence[Prepared], cfg: Config) -> list[Prepared]:
    """Cases that a recipe can learn from.

    Raises:
      InputError: there is none, or one lacks a phase or the organs of its attention map.
    """
    target = cfg.data.target
    with_target = [case for case in cases if has_target(case.annotated, target)]
    if not with_target:
        raise InputError(f"no case is annotated with {target}", hint="check the label names")
    for case in with_target:
        if absent := [phase for phase in cfg.data.phases if phase not in case.phases]:
            raise InputError(
                f"case {case.id} has no {absent[0]} phase",
                hint="set --data.phases, or leave it out",
            )
        if case.attention is None and (cfg.model.attention or cfg.data.informative):
            raise InputError(
                f"case {case.id} has no organs to make an attention map of",
                hint="prepare with --organs, or train nodes-no-attention",
            )
    return with_target


def foreground_intensities(
    cases: Sequence[Prepared], phases: Sequence[Phase], target: Target
) -> list[Intensities]:
    """Of each phase, over the foreground of a target in the training cases."""
    by_channel = []
    for phase in phases:
        drawn = [case.hu[target][case.phases.index(phase)] for case in cases]
        by_channel.append([hu.astype(np.float32) for hu in drawn])
    try:
        return [intensities(of_cases) for of_cases in by_channel]
    except ValueError:
        raise InputError(f"no training case shows any voxel of {target}") from None


def batch_maker(
    cases: Sequence[Prepared],
    cfg: Config,
    channels: Sequence[Intensities],
    *,
    host: int = 0,
    num_hosts: int = 1,
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Args:
      cases: to train on.
      cfg: the recipe.
      channels: intensities of each, for what lies outside a scan.
      host: index of this host.
      num_hosts: hosts that share the batch; their parts together are the batch of a single host.

    Returns:
      `make(step)` → {"image": HU int16 (n, d, h, w, c), "label": classes uint8 (n, d, h, w),
      "annotated": bool (n, k)} and, with attention, "attention": float16 (n, d, h, w); of the shape
      that is loaded for augmentation.

    Raises:
      InputError: no case has a voxel of the target.
    """
    data, loaded = cfg.data, loaded_shape(cfg)
    with_target = [case for case in cases if len(case.voxels[data.target])]
    if not with_target:
        raise InputError(f"no training case shows any voxel of {data.target}")
    fill = fill_of(channels)

    def draw(number: int) -> dict[str, NDArray]:
        random = rng(cfg.run.seed, number)
        if is_forced(number % data.batch, data):
            case = choose(with_target, random)
            start = _around_foreground(case, data, random)
        else:
            case = choose(cases, random)
            start = _anywhere(case, data, random)
        # Around the final patch, whatever of that lies outside the scan.
        start = [a - (n // 2 - m // 2) for a, n, m in zip(start, loaded, data.patch, strict=True)]
        return cut(case, cfg, start, loaded, fill)

    return batches_of(draw, data.batch, host=host, num_hosts=num_hosts)


def batches_of(
    draw: Callable[[int], Mapping[str, NDArray]], batch: int, *, host: int, num_hosts: int
) -> Callable[[int], Batch]:
    """Function from a step to the part of its batch that one host feeds.

    Args:
      draw: number of an example in the whole run → its arrays; pure.
      batch: examples per step, over all hosts.
      host: index of this host.
      num_hosts: hosts that share the batch.
    """
    numbers = numbers_of_host(batch, host, num_hosts)

    def make(step: int) -> Batch:
        examples = [draw(number) for number in numbers(step)]
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    return make


def loaded_shape(cfg: Config | IdentificationConfig) -> Axes:
    """Voxels (d, h, w) of a patch before it is augmented: enough of them to turn and scale it."""
    if cfg.augment.scheme == "none":
        return cfg.data.patch
    return loading_shape(cfg.data.patch, cfg.augment.degrees, cfg.augment.loading_scales)


def fill_of(channels: Sequence[Intensities]) -> Int16[np.ndarray, "c"]:
    """HU of what lies outside a scan: the mean of each channel's foreground."""
    return np.array([round(channel.mean) for channel in channels], np.int16)


def is_forced(place: int, cfg: DataConfig) -> bool:
    """Whether an example of a batch, by its place from 0, is centered on foreground (nnU-Net)."""
    return place >= round(cfg.batch * (1 - cfg.foreground))


def cut(
    case: Prepared,
    cfg: Config,
    start: Sequence[int],
    shape: Axes,
    fill: Int16[np.ndarray, "c"],
) -> dict[str, NDArray]:
    """One example without its batch axis; outside the scan is background without attention."""
    label = patches.extract(case.label, start, shape, 0)
    example = {
        "image": cut_image(case, cfg.data.phases, start, shape, fill),
        "label": classes(label, cfg.data.target),
        "annotated": annotated_classes(case.annotated, cfg.data.target),
    }
    if cfg.model.attention and case.attention is not None:
        example["attention"] = patches.extract(case.attention, start, shape, 0)
    return example


def cut_image(
    case: Prepared,
    phases: Sequence[Phase],
    start: Sequence[int],
    shape: Axes,
    fill: Int16[np.ndarray, "c"],
) -> Int16[np.ndarray, "d h w c"]:
    """HU of some phases in a patch; `fill` of each outside the scan."""
    of_phases = [case.phases.index(phase) for phase in phases]
    outside = np.zeros(len(case.phases), np.int16)
    outside[of_phases] = fill
    image = patches.extract(case.image, start, shape, outside)
    # A list of channels as an index copies voxel by voxel: up to half of the time of a batch.
    is_whole = of_phases == list(range(len(case.phases)))
    return image if is_whole else np.stack([image[..., c] for c in of_phases], axis=-1)


def _around_foreground(case: Prepared, cfg: DataConfig, random: Generator) -> patches.Start:
    """Around a random voxel of a class that is drawn first, so that small ones come as often."""
    voxels = case.voxels[cfg.target]
    class_ = choose(np.unique(voxels[:, 0]), random)
    _, *voxel = choose(voxels[voxels[:, 0] == class_], random)
    return patches.centered_start(voxel, case.label.shape, cfg.patch)


def _anywhere(case: Prepared, cfg: DataConfig, random: Generator) -> patches.Start:
    """In the box of the organs; with `informative`, where there is attention (Sec. III-A)."""
    start = patches.random_start_in(random, case.box, cfg.patch)
    if not cfg.informative or case.attention is None:
        return start
    for _ in range(MAX_TRIES - 1):
        if patches.extract(case.attention, start, cfg.patch, 0).any():
            break
        start = patches.random_start_in(random, case.box, cfg.patch)
    return start


def choose(items: Any, random: Generator) -> Any:
    """One of some things, each as likely."""
    return items[random.integers(len(items))]
