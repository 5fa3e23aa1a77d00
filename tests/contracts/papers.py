"""The papers whose recipes keep the contract, each with a few examples and a way to shrink it."""

from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

import eusdaf.config
import eusdaf.recipes
import eusdaf.train
import fee.config
import fee.data
import fee.recipes
import fee.train
import lnmet.config
import lnmet.identification.train
import lnmet.recipes
import lnmet.segmentation_train
import lnmet.status.train
import s4c.classifier.train
import s4c.config
import s4c.recipes
import s4c.train
from core.train.task import Task
from eusdaf.data import Prepared
from lnmet.identification.config import IdentificationConfig
from lnmet.status.config import StatusConfig
from lnmet.status.data import Example
from s4c.classifier.config import ClassifierConfig
from s4c.classifier.data import Example as Features
from tests.lnmet.phantoms import prepared as two_phases
from tests.lnmet.status.phantoms import cases_of
from tests.s4c.phantoms import prepared

SIZE = 32


class Paper(NamedTuple):
    """What the contract asks of a paper package.

    Args:
      recipes: configs by name.
      compiled: names of the recipes whose step is compiled: with `sharded`, one of each network.
      sharded: name of the recipe that is trained on one and on eight devices.
      quick: names of the recipes whose programs `make test` traces at their full size; `make
        test-slow` traces all.
      build: (config) → task on a few examples.
      small: (config, batch, steps) → the same recipe with few channels, examples and steps; every
        other number stays.
    """

    recipes: Mapping[str, Any]
    compiled: tuple[str, ...]
    sharded: str
    quick: tuple[str, ...]
    build: Callable[[Any], Task]
    small: Callable[[Any, int, int], Any]


def _small_s4c(cfg: Any, batch: int, steps: int) -> Any:
    few = {"groups": 1} if isinstance(cfg, ClassifierConfig) else {}
    return replace(
        cfg,
        run=replace(cfg.run, steps=steps),
        model=replace(cfg.model, width=2, **few),
        data=replace(cfg.data, batch=batch),
    )


def _small_lnmet(cfg: Any, batch: int, steps: int) -> Any:
    few = (
        {"width": 2}
        if isinstance(cfg, StatusConfig)
        else {"features": (2,) * len(cfg.model.features)}
    )
    return replace(
        cfg,
        run=replace(cfg.run, steps=steps, epochs=0),
        model=replace(cfg.model, **few),
        data=replace(cfg.data, batch=batch),
        # Adam takes steps of full length along gradients that are zero but for rounding, those of
        # the biases before a norm.
        optim=replace(cfg.optim, algorithm="sgd"),
    )


def _small_eusdaf(cfg: eusdaf.config.Config, batch: int, steps: int) -> eusdaf.config.Config:
    # 16 is the least width that leaves every group of the encoders a channel.
    width = 16 if cfg.model.network == "daf" else 2
    return replace(
        cfg,
        run=replace(cfg.run, steps=steps, epochs=0),
        prepare=replace(cfg.prepare, size=SIZE),
        model=replace(cfg.model, width=width, blocks=(1, 1, 1, 1), features=4),
        data=replace(cfg.data, batch=batch),
    )


def _small_fee(cfg: fee.config.Config, batch: int, steps: int) -> fee.config.Config:
    blocks = (1, 1, 1, 1) if cfg.model.network == "resnet" else ()
    return replace(
        cfg,
        run=replace(cfg.run, steps=steps, epochs=0),
        prepare=replace(cfg.prepare, size=SIZE),
        model=replace(cfg.model, width=4, blocks=blocks, convs=1),
        data=replace(cfg.data, batch=batch),
    )


def counted(task: Task) -> tuple[Task, list[int]]:
    """The task, and a list that grows whenever its loss is traced."""
    traces: list[int] = []

    def loss(*args: Any) -> Any:
        traces.append(1)
        return task.loss(*args)

    return task._replace(loss=loss), traces


def _series() -> list[fee.data.PreparedSeries]:
    """Of one patient with a tumor and one without; the pancreas is in two slices of three."""
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), np.uint8)
    masks = np.zeros_like(images)
    masks[:2, 8:24, 6:20] = 1
    return [
        fee.data.PreparedSeries(
            name, name, name, "venous", name == "a", "", images, masks, (0, 1), ()
        )
        for name in "ab"
    ]


def _build_fee(cfg: fee.config.Config) -> Task:
    return fee.train.build(cfg, fee.data.examples(SERIES, cfg))


def _pictures() -> list[Prepared]:
    images = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE), np.uint8)
    masks = np.zeros_like(images)
    masks[:2, 8:24, 6:20] = 1
    pairs = zip(images, masks, strict=True)
    return [Prepared(f"{n}", f"{n}", f"{n}", i, m, bool(m.any())) for n, (i, m) in enumerate(pairs)]


def _features() -> list[Features]:
    """Of regions that differ in size, with as many channels as the paper's coarse network has."""
    random = np.random.default_rng(0)
    sizes = [(9, 12, 20), (6, 10, 17)]
    arrays = [random.standard_normal((*size, 128), np.float32) for size in sizes]
    return [Features(f"{n}", f"{n}", array, n > 0) for n, array in enumerate(arrays)]


SCANS = [prepared("a", tumor=True), prepared("b", tumor=False, seed=1)]
PICTURES = _pictures()
SERIES = _series()
REGIONS = _features()
TWO_PHASES = [two_phases("a"), two_phases("b", seed=1)]
PATIENTS = [Example(case, bool(case.status), 500.0 * bool(case.status)) for case in cases_of("+-")]

LNMET = {
    lnmet.config.Config: lambda cfg: lnmet.segmentation_train.build(cfg, TWO_PHASES),
    IdentificationConfig: lambda cfg: lnmet.identification.train.build(cfg, TWO_PHASES),
    StatusConfig: lambda cfg: lnmet.status.train.build(cfg, PATIENTS),
}
"""What builds the task of each kind of network, by the class of its recipes."""

S4C = {
    s4c.config.Config: lambda cfg: s4c.train.build(cfg, SCANS),
    ClassifierConfig: lambda cfg: s4c.classifier.train.build(cfg, REGIONS),
}

PAPERS = {
    "fee": Paper(
        recipes=fee.recipes.RECIPES,
        compiled=("segment", "diagnose"),
        sharded="locate",
        quick=("segment", "diagnose"),
        build=_build_fee,
        small=_small_fee,
    ),
    "s4c": Paper(
        recipes=s4c.recipes.RECIPES,
        compiled=(
            *("tiny-64", "tiny-classifier"),
            *("tiny-pnet-venous-unet3d", "tiny-pnet-venous-vnet"),
        ),
        sharded="tiny-16",
        quick=("pdac-16", "classifier"),
        build=lambda cfg: S4C[type(cfg)](cfg),
        small=_small_s4c,
    ),
    "lnmet": Paper(
        recipes=lnmet.recipes.RECIPES,
        compiled=("tiny-nodes",),
        sharded="tiny-organs",
        quick=("organs", "status"),
        build=lambda cfg: LNMET[type(cfg)](cfg),
        small=_small_lnmet,
    ),
    "eusdaf": Paper(
        recipes=eusdaf.recipes.RECIPES,
        compiled=("daf", "attention-unet"),
        sharded="unet",
        quick=("unet",),
        build=lambda cfg: eusdaf.train.build(cfg, PICTURES),
        small=_small_eusdaf,
    ),
}


def full_size_recipes(names: Container[str] | None = None) -> list:
    """Parameters (paper, recipe) of a test that traces programs at their full size.

    Args:
      names: as <paper>/<recipe>; every recipe unless given.
    """
    pairs = [(paper, name) for paper in PAPERS for name in PAPERS[paper].recipes]
    if names is not None:
        pairs = [pair for pair in pairs if "/".join(pair) in names]
    return [
        pytest.param(paper, name, marks=() if name in PAPERS[paper].quick else pytest.mark.slow)
        for paper, name in pairs
    ]
