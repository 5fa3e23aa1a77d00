"""A cross-validation of networks, and their ensembles on other data."""

from pathlib import Path

import pytest

import eusdaf.study
from eusdaf.recipes import RECIPES
from eusdaf.study import _networks, study
from tests.contracts.commands import EUSDAF
from tests.refusals import refused


@pytest.fixture
def calls(monkeypatch) -> list[tuple]:
    """What a study asks for: nothing is trained here, and no picture is segmented."""
    told: list[tuple] = []

    def segment(inputs, runs, out, *, held_out=False, probabilities):
        assert probabilities  # for the ROC curve
        told.append(("segment", [*inputs], [*runs], held_out))

    monkeypatch.setattr(eusdaf.study, "train", lambda cfg, data, out, **options: None)
    monkeypatch.setattr(eusdaf.study, "segment", segment)

    def evaluate(preds, truths, out, *, lesion_value):
        assert lesion_value == "255"
        told.append((preds, truths, out))

    monkeypatch.setattr(eusdaf.study, "evaluate", evaluate)
    return told


@pytest.fixture
def data(tmp_path) -> Path:
    EUSDAF.write(tmp_path / "data", 0, 4)
    EUSDAF.write(tmp_path / "other", 1, 2)
    return tmp_path / "data"


def call(data: Path, out: Path, **options) -> int:
    few = {"split.num_folds": 2, "prepare.size": 32, "prepare.lesion_value": "255"}
    return study([data], out, recipes=["unet", "attention-unet"], choices=few, **options)


def test_each_network_segments_what_its_fold_held_out_and_the_folds_are_pooled(
    calls, data, tmp_path
):
    out, names = tmp_path / "out", ("unet", "attention-unet")
    assert call(data, out) == 0
    *segmented, tables = calls
    folds = [out / "fold_0", out / "fold_1"]
    assert segmented == [("segment", [data], [f / name], True) for f in folds for name in names]
    preds = [fold / f"segment-{name}" for name in names for fold in folds]
    assert tables == (preds, [data], out / "merged")


def test_the_networks_of_all_folds_are_averaged_on_other_data_sets(calls, data, tmp_path):
    out, other = tmp_path / "out", tmp_path / "other"
    call(data, out)
    calls.clear()
    assert call(data, out, external=[other], merge=True) == 0
    pictures = sorted((other / "images").iterdir())
    *segmented, own, tables = calls
    assert segmented == [
        ("segment", pictures, [out / f"fold_{k}" / name for k in (0, 1)], False)
        for name in ("unet", "attention-unet")
    ]
    assert own[1:] == ([data], out / "merged")
    preds = [out / "external" / f"segment-{name}-0" for name in ("unet", "attention-unet")]
    assert tables == (preds, [other], out / "merged" / "external-0")


def test_two_recipes_of_one_network_are_refused():
    with refused(None, "daf, daf-32x8d are of daf, daf"):
        _networks({name: RECIPES[name] for name in ("daf", "daf-32x8d")})
