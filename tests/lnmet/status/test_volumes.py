"""Volumes of metastatic nodes: which result is about which case, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.commands import results
from core.io import nifti
from core.volume import Volume
from lnmet.data import Prepared
from lnmet.labels import METASTATIC
from lnmet.status.volumes import LARGEST, VOLUMES, volumes_of
from tests.lnmet.status.phantoms import case_of
from tests.lnmet.tiny import volume
from tests.refusals import refused

SPACING_MM = (2.0, 1.0, 1.0)
NODES = np.array([[1, 0, 0, 0, 10], [0, 0, 0, 0, 90], [1, 0, 0, 0, 30]], np.int32)


def told_apart(name: str, nodes: np.ndarray = NODES) -> Prepared:
    case = case_of(name)
    return case._replace(annotated=case.annotated | {METASTATIC}, nodes=nodes)


@pytest.fixture
def cases(tmp_path) -> tuple[list[Prepared], dict[str, list[Path]]]:
    """Two cases whose venous scans lie on grids of their own, and their files."""
    files = {}
    for number, name in enumerate("ab"):
        grid = volume(np.zeros((4, 5, 6), np.int16), z_mm=100.0 * number)
        files[name] = [tmp_path / "data" / f"{name}_0001.nii.gz"]
        nifti.write(files[name][0], grid)
    return [told_apart(name) for name in files], files


def segmented(
    out: Path, paths: dict[str, Path], grids: dict[str, Volume] | None = None, **facts: object
) -> Path:
    """What `lnmet segment` leaves: 100 mm³ for the first case, 200 for the next, …"""
    rows = []
    for number, (name, path) in enumerate(paths.items(), start=1):
        rows.append(
            {"id": name, "input": path, "status": "done", LARGEST: 100.0 * number} | dict(facts)
        )
        if grids:
            nifti.write(out / "cases" / name / "segmentation.nii.gz", grids[name])
    results.write(out, rows, skipped=[], provenance={})
    return out


def ask(tmp_path: Path, nodes: list[Path], cases, files):
    return volumes_of(tmp_path / "run", nodes, cases, files, SPACING_MM)


@pytest.fixture
def out(tmp_path, cases) -> Path:
    return segmented(tmp_path / "out", {name: paths[0] for name, paths in cases[1].items()})


def test_volumes_are_of_the_same_files(tmp_path, cases, out):
    told = ask(tmp_path, [out], *cases)
    assert told.of_case == {"a": 100.0, "b": 200.0}
    assert told.note()["source"] == (str(out.resolve()),)


def test_folds_share_the_cases_out(tmp_path, cases):
    outs = [
        segmented(tmp_path / f"out-{name}", {name: paths[0]}) for name, paths in cases[1].items()
    ]
    assert ask(tmp_path, outs, *cases).of_case == {"a": 100.0, "b": 100.0}


def test_files_that_were_moved_are_told_by_their_case_and_grid(tmp_path, cases):
    moved = {name: tmp_path / "elsewhere" / f"{name}_0001.nii.gz" for name in cases[1]}
    grids = {
        name: nifti.read_grid(paths[0]).with_array(np.zeros((4, 5, 6), np.uint8))
        for name, paths in cases[1].items()
    }
    out = segmented(tmp_path / "out", moved, grids)
    assert ask(tmp_path, [out], *cases).of_case == {"a": 100.0, "b": 200.0}
    # Cases of another data set may have the same names.
    strangers = {"a": grids["b"], "b": grids["a"]}
    other = segmented(tmp_path / "other", moved, strangers)
    with refused(other, "a", hint="status-no-nodes"):
        volumes_of(tmp_path / "run2", [other], *cases, SPACING_MM)


def test_what_networks_learned_from_is_counted_and_warned_of(tmp_path, cases, caplog):
    paths = {name: files[0] for name, files in cases[1].items()}
    out = segmented(tmp_path / "out", paths, part="train")
    assert ask(tmp_path, [out], *cases).note()["parts"] == {"train": 2}
    assert "2 of 2 cases" in caplog.text


def test_a_case_that_is_missing_or_twice_there_is_refused(tmp_path, cases, out):
    some = segmented(tmp_path / "some", {"a": cases[1]["a"][0]})
    with refused(some, "b", hint="status-no-nodes"):
        ask(tmp_path, [some], *cases)
    with refused(some, "a", 2, hint="once"):
        ask(tmp_path, [out, some], *cases)


@pytest.mark.parametrize("facts", [{"status": "failed"}, {LARGEST: None}])
def test_a_case_without_a_volume_is_refused(tmp_path, cases, facts):
    paths = {name: files[0] for name, files in cases[1].items()}
    out = segmented(tmp_path / "out", paths, **facts)
    with refused(out, "a", hint="segment"):
        ask(tmp_path, [out], *cases)


def test_without_segmentations_annotated_nodes_tell_and_the_log_says_what_that_means(
    tmp_path, caplog
):
    cases = [told_apart("a"), told_apart("b", NODES[1:2])]
    told = ask(tmp_path, [], cases, {})
    # The largest metastatic node of the first has 30 voxels; the other one has none.
    assert told.of_case == {"a": 30 * np.prod(SPACING_MM), "b": 0.0}
    assert told.note()["source"] == "annotated nodes"
    assert "the status itself" in caplog.text


def test_where_metastatic_nodes_are_not_named_volumes_are_not_known(tmp_path):
    blind = case_of("blind")
    blind = blind._replace(annotated=blind.annotated - {METASTATIC})
    with refused(None, "blind", hint="status-no-nodes"):
        ask(tmp_path, [], [told_apart("a"), blind], {})


def test_a_run_that_goes_on_is_told_the_same(tmp_path, cases, out):
    first = ask(tmp_path, [out], *cases)
    run = tmp_path / "run"
    assert json.loads((run / VOLUMES).read_text())["of_case"] == first.of_case
    (run / "metrics.jsonl").write_text("")
    assert ask(tmp_path, [], *cases) == first
    assert ask(tmp_path, [out], *cases).of_case == first.of_case
    other = segmented(tmp_path / "b", {"b": cases[1]["b"][0], "a": cases[1]["a"][0]})
    with refused(run, "volumes", hint="--nodes"):
        ask(tmp_path, [other], *cases)
