"""A small phantom cohort and a network trained on it for three steps, once for all tests."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.phantom.ultrasound.cohort import write_image_cohort
from core.train.config import RunConfig
from eusdaf.config import AugmentConfig, Config, DataConfig, ModelConfig, PrepareConfig
from eusdaf.train import train

SIZE = 32
SMALL = Config(
    run=RunConfig(steps=3, log_every=1),
    prepare=PrepareConfig(size=SIZE),
    data=DataConfig(batch=8),
    augment=AugmentConfig(elastic="none"),
    model=ModelConfig("unet", width=2),
)
"""The network that compiles fastest; what differs between networks is tested where they are."""
SMALL = replace(SMALL, infer=replace(SMALL.infer, batch=1))


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six patients with two pictures of 44 × 61 pixels each; the last of them is healthy."""
    return write_image_cohort(
        tmp_path_factory.mktemp("eusdaf") / "cohort",
        num_patients=6,
        seed=0,
        shape=(44, 61),
        diameters_mm=(25.0, 46.0),
    )


@pytest.fixture(scope="session")
def run(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run folder of fold 1."""
    out = tmp_path_factory.mktemp("eusdaf") / "run"
    train(SMALL, [cohort], out, fold=1)
    return out
