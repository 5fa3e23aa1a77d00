"""Cross-validations of both papers: which networks go together, and the rows of their tables."""

import json
from dataclasses import replace

import pytest

from s4c.demo import write_phantoms
from s4c.recipes import RECIPES, SEGMENTATION
from s4c.study import PAPERS, _plan, _steps, study
from s4c.study_plan import Screening, of_phases, of_scales
from tests.refusals import refused

PDAC = PAPERS["pdac"]
SCALES = {name: SEGMENTATION[name] for name in PDAC}


def steps_of(plan, tmp_path):
    return {step.name: step for step in _steps(plan, [tmp_path], tmp_path, 0, 0, None)}


def test_the_recipes_of_each_paper_are_known():
    for names in PAPERS.values():
        assert set(names) <= set(RECIPES)


def test_the_rows_of_table_1_are_the_cascade_and_each_of_its_networks():
    assert of_scales(SCALES, {}).screenings == {
        "screen": Screening(PDAC),
        "screen-pdac-64": Screening(("pdac-64",)),
        "screen-pdac-32": Screening(("pdac-64", "pdac-32"), alone=True),
        "screen-pdac-16": Screening(("pdac-64", "pdac-16"), alone=True),
    }


def test_a_single_network_has_one_row():
    plan = of_scales({"pdac-64": SCALES["pdac-64"]}, {})
    assert plan.screenings == {"screen": Screening(("pdac-64",))}


def test_a_classifier_has_a_row_beside_the_coarse_network(tmp_path):
    plan = _plan("pdac", [*PDAC, "classifier"], {"run.steps": 7})
    assert plan.screenings == {
        **of_scales(SCALES, {}).screenings,
        "screen-classifier": Screening(("pdac-64", "classifier")),
    }
    assert {cfg.run.steps for cfg in plan.cfgs.values()} == {7}
    assert plan.classifier.run.steps == 20_000
    assert steps_of(plan, tmp_path)["classifier"].needs == ("pdac-64",)


def test_the_rows_of_the_pnet_tables_are_its_networks_in_both_phases(tmp_path):
    plan = _plan("pnet", PAPERS["pnet"], {"run.steps": 7})
    ours = ("pnet-venous", "pnet-arterial")
    classifiers = tuple(f"classifier-{name}" for name in ours)
    assert plan.screenings == {
        "screen": Screening(ours),
        "screen-unet3d": Screening(tuple(f"{name}-unet3d" for name in ours)),
        "screen-vnet": Screening(tuple(f"{name}-vnet" for name in ours)),
        "screen-classifier": Screening((*ours, *classifiers)),
    }
    steps = steps_of(plan, tmp_path)
    for name, coarse in zip(classifiers, ours, strict=True):
        assert steps[name].needs == (coarse,)
    assert list(steps)[: len(plan.cfgs)] == list(PAPERS["pnet"][:-1])


@pytest.mark.parametrize("names", [["classifier"], ["pdac-64", "classifier", "tiny-classifier"]])
def test_a_classifier_without_a_cascade_and_two_of_them_are_refused(names):
    with refused(None, names[-1], "make no study", hint="one classifier at most"):
        _plan("pdac", names, {})


def test_the_largest_patch_comes_first():
    assert tuple(of_scales(dict(reversed(SCALES.items())), {}).cfgs) == PDAC


def test_two_networks_of_one_patch_size_are_refused():
    with refused(None, "pdac-64, again", "[64, 64]"):
        of_scales({"pdac-64": SCALES["pdac-64"], "again": replace(SCALES["pdac-64"])}, {})


def test_networks_of_no_phase_and_two_of_one_are_refused():
    venous = SEGMENTATION["pnet-venous"]
    with refused(None, "pdac-64 is of no phase", hint="one for each phase"):
        of_phases({"pdac-64": SCALES["pdac-64"]}, {})
    with refused(None, "again is of the venous phase, as pnet-venous is", hint="each phase"):
        of_phases({"pnet-venous": venous, "again": replace(venous)}, {})


@pytest.mark.parametrize("num", [1, 2, 3])
def test_a_screening_needs_the_networks_that_it_asks(tmp_path, num):
    plan = of_scales(dict(list(SCALES.items())[:num]), {})
    steps = steps_of(plan, tmp_path)
    assert list(steps)[:num] == list(plan.cfgs)
    for name, row in plan.screenings.items():
        assert tuple(steps[name].needs) == row.runs


@pytest.mark.slow  # eight trainings and their screenings
def test_a_study_of_two_phases_ends_with_both_tables(tmp_path):
    data, out = tmp_path / "data", tmp_path / "study"
    write_phantoms(data, num_cases=8, seed=0, paper="pnet", spacing_mm=8.0)
    names = ["tiny-pnet-venous", "tiny-pnet-arterial"]
    names += [f"{name}-unet3d" for name in names]
    few = {"run.steps": 2, "data.batch": 2, "model.width": 2}
    choices = few | {"infer.stride": 16, "infer.batch": 1, "split.num_folds": 2}
    assert study("pnet", [data], out, recipes=names, choices=choices) == 0
    metrics = json.loads((out / "merged" / "metrics.json").read_text())
    systems = ("16³", "3D U-Net 16³")
    groups = [f"{of}, {name}" for name in systems for of in ("both phases", "arterial", "venous")]
    assert sorted(metrics["groups"]) == sorted(groups)
    assert next(iter(metrics["groups"])) == "both phases, 16³"
    for group in metrics["groups"].values():
        # Every patient is held out once.
        assert (group["num_abnormal"], group["num_normal"]) == (4, 4)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("results.json")}
    assert study("pnet", [data], out, recipes=names, choices=choices) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("results.json")} == before
