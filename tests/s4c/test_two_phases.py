"""Networks of two phases: whose scans are looked at, and what is answered for a patient."""

import json

import numpy as np
import pytest

from core.errors import InputError
from core.io import nifti
from core.volume import CANONICAL_DIRECTION, Volume
from s4c.evaluate import evaluate
from s4c.examinations import examinations
from s4c.infer import screen
from s4c.networks import open_runs
from tests.s4c.test_networks import PNET, runs, write_run

SHAPE = (20, 22, 24)
__all__ = ["runs"]


@pytest.fixture(scope="module")
def phases(tmp_path_factory):
    """Runs of both phases that held case b out."""
    root = tmp_path_factory.mktemp("runs")
    return {phase: write_run(root / phase, cfg) for phase, cfg in PNET.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set of two cases, in both phases, on one grid."""
    return write_data(tmp_path_factory.mktemp("data") / "set")


def write_data(root, channels=("arterial", "venous")):
    rng = np.random.default_rng(0)
    hu = rng.normal(40, 60, SHAPE).astype(np.int16)
    hu[:, :4] = -1000  # air in front, without which it would be no CT
    label = np.zeros(SHAPE, np.uint8)
    label[8:14, 8:14, 8:14] = 1
    label[9:12, 9:12, 9:12] = 2
    for case in "ab":
        for number in range(len(channels)):
            write(root / "imagesTr" / f"{case}_{number:04d}.nii.gz", hu + number)
        write(root / "labelsTr" / f"{case}.nii.gz", label)
    labels = {"background": 0, "pancreas": 1, "tumor": 2, "dilated_duct": 3}
    names = {str(number): name for number, name in enumerate(channels)}
    description = {"channel_names": names, "labels": labels, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(description | {"numTraining": 2}))
    return root


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION))


def names_of(patients):
    return [
        {phase: scan.path.name for phase, scan in patient.scans.items()} for patient in patients
    ]


def test_networks_of_one_phase_look_at_its_scans_alone(data, phases):
    for phase, number in (("arterial", 0), ("venous", 1)):
        patients, skipped = examinations([data], open_runs([phases[phase]]))
        assert names_of(patients) == [{phase: f"{case}_{number:04d}.nii.gz"} for case in "ab"]
        assert skipped == []


def test_networks_of_both_phases_look_at_both_scans(data, phases):
    opened = open_runs(list(phases.values()))
    both = {"arterial": "a_0000.nii.gz", "venous": "a_0001.nii.gz"}
    images = data / "imagesTr"
    for options in (
        {"inputs": [images / "a_0000.nii.gz", images / "a_0001.nii.gz"]},
        {"inputs": [], "arterial": images / "a_0000.nii.gz", "venous": images / "a_0001.nii.gz"},
    ):
        (patient,), _ = examinations(runs=opened, **options)
        assert names_of([patient]) == [both]
    (held_out,), _ = examinations([data], opened, held_out=True)
    assert held_out.id == "b"
    assert list(held_out.scans) == ["arterial", "venous"]


def test_phases_that_are_data_sets_of_their_own_meet_by_the_case(tmp_path, phases):
    roots = [write_data(tmp_path / name, (name,)) for name in ("arterial", "venous")]
    (patient,), _ = examinations(roots, open_runs(list(phases.values())), held_out=True)
    assert {phase: scan.path.parent.parent for phase, scan in patient.scans.items()} == {
        "arterial": roots[0],
        "venous": roots[1],
    }


def test_what_is_known_of_the_phase_is_told(tmp_path, phases):
    root = write_data(tmp_path / "set", ("venous",))
    (root / "imagesTr" / "a_0000.nii.gz").rename(tmp_path / "c.nii.gz")
    (patient,), _ = examinations([tmp_path / "c.nii.gz"], open_runs(list(phases.values())))
    assert names_of([patient]) == [{"venous": "c.nii.gz"}]
    assert patient.notes == ("taken for the venous phase", "no arterial scan")


def test_an_examination_without_the_phase_has_failed(tmp_path, phases):
    root = write_data(tmp_path / "set", ("venous",))
    patients, skipped = examinations([root], open_runs([phases["arterial"]]))
    assert patients == []
    assert [(file.reason, file.is_broken) for file in skipped] == [("no arterial scan", True)] * 2


def test_scans_and_flags_that_do_not_fit_are_refused(data, phases, runs):
    opened = open_runs(list(phases.values()))
    with pytest.raises(InputError, match="give scans to screen, or --arterial"):
        examinations([], opened)
    with pytest.raises(InputError, match="give scans to screen, or --arterial"):
        examinations([data], opened, venous=data)
    with pytest.raises(InputError, match="without a flag"):
        examinations([], open_runs(runs), venous=data)


def test_a_patient_is_answered_by_both_phases(tmp_path, data, phases):
    run_paths = list(phases.values())
    assert screen([data], runs=run_paths, out=tmp_path / "out", held_out=True) == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["phases"] == ["arterial", "venous"]
    assert written["positive"] == "PNET"
    (row,) = written["cases"]
    assert row["decided_by"] in ("arterial", "venous")
    assert row["score"] == max(own["score"] for own in row["phases"].values())
    assert row["decision"] == row["phases"][row["decided_by"]]["decision"]
    folder = tmp_path / "out" / "cases" / "b"
    for phase, number in (("arterial", 0), ("venous", 1)):
        assert row["phases"][phase]["input"].endswith(f"b_{number:04d}.nii.gz")
        assert (folder / phase / "overlay.png").is_file()
        label = nifti.read_label(folder / phase / "segmentation.nii.gz")
        assert label.shape == SHAPE
        ran, of = row["phases"][phase]["windows"]
        assert 0 < ran <= of
    assert sorted(row["files"]) == [f"{p}/segmentation.nii.gz" for p in ("arterial", "venous")]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "a patient, if the scan of either phase is" in page
    metrics = evaluate([tmp_path / "out"], [data], tmp_path / "metrics")
    system = f"{PNET['venous'].data.patch}³"
    assert list(metrics["groups"]) == [
        f"{g}, {system}" for g in ("both phases", "arterial", "venous")
    ]
    assert [group["num_abnormal"] for group in metrics["groups"].values()] == [1, 1, 1]
