"""Answers of networks that see the arterial phase alone: on its grid, in its name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from core.commands.sources import digest
from core.io import nifti
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.volume import canonical
from lnmet import examination
from lnmet.infer import segment
from lnmet.labels import PDAC
from lnmet.segmentation import Segmented
from lnmet.train import train
from tests.lnmet.tiny import SPACING_MM, phantoms, tiny
from tests.refusals import refused


@pytest.fixture(scope="module")
def system(tmp_path_factory) -> Path:
    """Runs of the arterial and the venous tumor, and their data set."""
    root = tmp_path_factory.mktemp("system")
    phantoms(root / "data")
    for name in ("pdac-arterial", "pdac"):
        train(tiny(f"tiny-{name}"), [root / "data"], root / name)
    return root


@pytest.fixture
def cropped(system, tmp_path) -> Path:
    """A patient whose arterial scan is another part of the body than the venous one."""
    for channel, part in (("0000", slice(None, -4)), ("0001", slice(2, None))):
        whole = nifti.read(system / "data" / "imagesTr" / f"phantom_000_{channel}.nii.gz")
        x, y, z = whole.origin_mm
        origin_mm = (x, y, z + (part.start or 0) * SPACING_MM)
        scan = replace(whole, array=whole.array[part], origin_mm=origin_mm)
        nifti.write(tmp_path / "scans" / f"p_{channel}.nii.gz", scan)
    return tmp_path / "scans"


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


@pytest.mark.parametrize(("run", "channel"), [("pdac-arterial", "0000"), ("pdac", "0001")])
def test_the_answer_is_on_the_grid_of_the_only_phase_that_is_seen(
    system, cropped, tmp_path, run, channel
):
    out, scan = tmp_path / "out", cropped / f"p_{channel}.nii.gz"
    assert segment([cropped], runs=[system / run], out=out) == 0
    (row,) = results(out)["cases"]
    assert row["input"] == str(scan)
    assert (out / "cases" / "p" / "overlay.png").is_file()
    label = nifti.read_grid(out / "cases" / "p" / "segmentation.nii.gz")
    grid = nifti.read_grid(scan)
    assert label.shape == grid.shape
    np.testing.assert_array_equal(label.affine_lps, grid.affine_lps)


def test_results_tell_what_was_seen_and_what_the_labels_are(system, tmp_path):
    segment([system / "data"], runs=[system / "pdac-arterial"], out=tmp_path)
    written = results(tmp_path)
    assert (written["phases"], written["classes"]) == (["arterial"], ["PDAC"])
    assert [row["id"] for row in written["cases"]] == ["phantom_000", "phantom_001"]


def test_cases_of_two_phases_that_were_learned_from_are_known(system, tmp_path):
    segment([system / "data"], runs=[system / "pdac-arterial"], out=tmp_path)
    assert [row["part"] for row in results(tmp_path)["cases"]] == ["train", "train"]


def test_a_case_of_the_arterial_phase_alone_is_known_by_it(system, tmp_path):
    """The digest that a run has of a data set of one channel is that of the arterial scan."""
    scan = system / "data" / "imagesTr" / "phantom_000_0000.nii.gz"
    run = tmp_path / "run"
    run.mkdir()
    for path in (system / "pdac-arterial").iterdir():
        (run / path.name).symlink_to(path)
    (run / "folds.json").unlink()
    division = json.loads((system / "pdac-arterial" / "folds.json").read_text())
    division["images"] = {digest(canonical(nifti.read(scan)).array): "train"}
    (run / "folds.json").write_text(json.dumps(division))
    segment(runs=[run], arterial=scan, out=tmp_path / "out")
    (row,) = results(tmp_path / "out")["cases"]
    assert (row["part"], row["input"]) == ("train", str(scan))


def test_a_scan_whose_phase_nothing_tells_is_what_the_network_sees(system, tmp_path):
    scan = system / "data" / "imagesTr" / "phantom_000_0000.nii.gz"
    for run, note in (("pdac-arterial", "taken for the arterial phase"), ("pdac", "")):
        segment([scan], runs=[system / run], out=tmp_path / run)
        (row,) = results(tmp_path / run)["cases"]
        assert row["status"] == "done"
        assert note in row["note"]


def test_channels_are_the_phases_that_the_data_set_tells(system, cropped, tmp_path):
    """The venous phase first."""
    data = tmp_path / "data"
    data.mkdir()
    cropped.rename(data / "imagesTr")
    described = {"channel_names": {"0": "venous CT", "1": "arterial CT"}}
    (data / "dataset.json").write_text(json.dumps(described))
    assert segment([data], runs=[system / "pdac-arterial"], out=tmp_path / "out") == 0
    (row,) = results(tmp_path / "out")["cases"]
    assert row["input"] == str(data / "imagesTr" / "p_0001.nii.gz")


def test_dicom_seg_is_of_the_arterial_series(system, tmp_path, monkeypatch):
    def tumor_everywhere(volumes, *_, **__):
        assert [*volumes] == ["arterial"]
        return Segmented(np.full(volumes["arterial"].shape, PDAC, np.uint8), [], None)

    monkeypatch.setattr(examination, "segment_volumes", tumor_everywhere)
    phantom = make(0, shape=(18, 24, 32), spacing_mm=(8, 8, 8), tumor_diameter_mm=None)
    study = write_dicom_study(tmp_path / "study", phantom)
    assert segment([study], runs=[system / "pdac-arterial"], out=tmp_path / "out") == 0
    (row,) = results(tmp_path / "out")["cases"]
    assert row["input"] == str(study / "SE002")
    seg = pydicom.dcmread(tmp_path / "out" / "cases" / row["id"] / "segmentation.dcm")
    arterial = pydicom.dcmread(next((study / "SE002").iterdir()))
    (series,) = seg.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == arterial.SeriesInstanceUID


def test_an_examination_without_the_phase_fails_alone(system, tmp_path):
    scan = system / "data" / "imagesTr" / "phantom_000_0001.nii.gz"
    assert segment(runs=[system / "pdac-arterial"], venous=scan, out=tmp_path / "out") == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert "has no arterial phase, which the networks want" in row["error"]


def test_an_arterial_scan_alone_is_for_networks_that_see_it_alone(system, tmp_path):
    scan = system / "data" / "imagesTr" / "phantom_000_0000.nii.gz"
    with refused(None, "--arterial needs --venous beside it"):
        segment(runs=[system / "pdac"], arterial=scan, out=tmp_path)
    with refused(None, "give folders to segment, or --arterial and --venous"):
        segment(runs=[system / "pdac"], out=tmp_path)
