"""Masks of the tumor as the paper makes them: pseudo-label, fine-tune, register, retrain."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core import cli
from core.datasets.read import read_dataset
from core.io import nifti
from lnmet.cases import read_cases
from lnmet.cli import COMMANDS
from lnmet.config import RECIPES
from lnmet.labels import PDAC
from tests.lnmet.tiny import SPACING_MM, phantoms

COARSE = ("--prepare.spacing-mm", *(SPACING_MM,) * 3)
SMALL = (
    *("--run.log-every", "1", "--data.batch", "2", "--data.patch", "16", "16", "16"),
    *("--model.features", "2", "4", "4", "4", "--optim.learning-rate", "0.01", *COARSE),
)
REGISTRATION = ("--registration.spacing-mm", "8", "--registration.convexadam.iterations", "20")


def lnmet(*words: object) -> int:
    args = [*map(str, words)]
    return cli.run(COMMANDS, prog="lnmet", description="", recipes=RECIPES, args=args)


@pytest.mark.slow
def test_the_chain_of_commands_ends_in_a_venous_network(tmp_path):
    annotated = phantoms(tmp_path / "annotated", num_cases=3)
    data = phantoms(tmp_path / "data", num_cases=3, seed=1, breath_mm=20.0)
    shutil.rmtree(data / "labelsTr")
    train = ("train", "tiny-pdac-arterial", "--run.steps")
    a0, p0, d1, a1, p1, d2, v = (tmp_path / name for name in "A0 P0 D1 A1 P1 D2 V".split())
    assert lnmet(*train, "60", "--data", annotated, "--out", a0, *SMALL) == 0
    assert lnmet("segment", data, "--run", a0, "--out", p0) == 0
    assert lnmet("pseudo", data, "--pred", p0, "--out", d1) == 0
    assert lnmet(*train, "4", "--data", d1, "--weights", a0, "--out", a1, *SMALL) == 0
    assert lnmet("segment", data, "--run", a1, "--out", p1) == 0
    assert lnmet("register", data, "--labels", p1, "--out", d2, *REGISTRATION) == 0
    last = ("train", "tiny-pdac", "--run.steps", "4", "--data", d2, "--out", v)
    assert lnmet(*last, *SMALL) == 0

    assert read_dataset(d1).channels == ("arterial CT",)
    for case in read_cases(d1).cases:
        predicted = nifti.read_label(p0 / "cases" / case.id / "segmentation.nii.gz")
        np.testing.assert_array_equal(case.read_label().array, predicted.array)
    dataset = read_dataset(d2)
    assert (len(dataset.cases), dataset.channels) == (3, ("arterial CT", "venous CT"))
    for case in read_cases(d2).cases:
        (_, venous), label = case.read()
        original = nifti.read(data / "imagesTr" / f"{case.id}_0001.nii.gz")
        np.testing.assert_array_equal(venous.array, original.array)
        moved = nifti.read_label(p1 / "cases" / case.id / "segmentation.nii.gz").array == PDAC
        # A mask is carried along, with the breath, as a whole or nearly so.
        assert 0.5 * moved.sum() <= (label.array == PDAC).sum() <= 2 * moved.sum()
        assert moved.any()
        assert (moved != (label.array == PDAC)).any()
    # The networks know who they come from, and whom they must not be judged on.
    images = {run: set(images_of(run)) for run in (a0, a1, v)}
    assert images[a0] < images[a1]
    assert not images[a0] & images[v]
    assert json.loads((a1 / "manifest.json").read_text())["weights"]["path"] == str(a0)
    assert json.loads((v / "config.json").read_text())["data"]["phases"] == ["venous"]


def images_of(run: Path) -> dict[str, str]:
    return json.loads((run / "folds.json").read_text())["images"]
