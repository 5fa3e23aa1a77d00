"""From two phases to the status: what can be given instead of a network, and what is written."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from core.csv_io import read_rows
from core.infer.load import Run
from core.io import nifti
from core.train.run_folder import Division
from core.volume import CANONICAL_DIRECTION, Volume, canonical, reorient
from lnmet import phases, stage
from lnmet.config import PrepareConfig
from lnmet.identification.config import RECIPES as IDENTIFICATION
from lnmet.identification.infer import Identifier, Network
from lnmet.labels import METASTATIC, NODE, PDAC
from lnmet.networks import Runs
from lnmet.status.answer import Stager
from lnmet.status.infer import StatusSystem
from tests.lnmet.status.test_answer import system as status_system
from tests.lnmet.test_segmentation import AORTA, IN_REACH, SHAPE, SPACING, TUMOR, segmenter
from tests.refusals import refused

ALL = ["organs and vessels", "tumor", "lymph nodes", "identification", "status"]
FLIPPED = CANONICAL_DIRECTION[:, [2, 0, 1]] * np.array([-1.0, 1.0, -1.0])
"""Another order and other directions of the axes than the canonical ones."""


def scans() -> dict[str, Volume]:
    """An aorta with a tumor beside it and a node in reach, seen alike by two phases."""
    hu = np.zeros(SHAPE, np.int16)
    hu[:, 0] = -1000  # air in front, without which it would be no CT
    hu[6:12, 6:12, 8:14] = AORTA
    hu[7:9, 7:9, 9:11] = TUMOR
    hu[8, 13:15, 10:12] = IN_REACH
    venous = Volume(hu, SPACING, (5.0, -7.0, 11.0), CANONICAL_DIRECTION)
    return {"arterial": venous.with_array(hu + 1), "venous": venous}


def organ_map() -> np.ndarray:
    """The aorta is organ 4, whatever is in it."""
    ids = np.zeros(SHAPE, np.uint8)
    ids[6:12, 6:12, 8:14] = 4
    return ids


def tumor_mask() -> np.ndarray:
    return (scans()["venous"].array == TUMOR).astype(np.uint8)


class Patient:
    """Files of a patient, stored in an orientation of their own."""

    def __init__(self, folder: Path, direction: np.ndarray = FLIPPED) -> None:
        self.folder, self.direction = folder, direction
        images = scans()
        self.arterial = self.write("images/p_0000", images["arterial"])
        self.venous = self.write("images/p_0001", images["venous"])
        self.organs = self.write("organs", images["venous"].with_array(organ_map()))
        self.pdac = self.write("pdac", images["venous"].with_array(tumor_mask()))

    @property
    def inputs(self) -> list[Path]:
        return [self.folder / "images"]

    def write(self, name: str, volume: Volume) -> Path:
        return nifti.write(self.folder / f"{name}.nii.gz", reorient(volume, self.direction))


@pytest.fixture
def patient(tmp_path) -> Patient:
    return Patient(tmp_path / "p")


def results(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


def written(path: Path) -> Volume:
    """A file that need not be a CT."""
    return nifti.read_grid(path).with_array(np.asarray(nib.load(path).dataobj).T)


def only(out: Path) -> tuple[dict[str, Any], Path]:
    """The row of the only examination, and its folder."""
    (row,) = results(out)["cases"]
    assert row["status"] == "done", row.get("error")
    return row, out / "cases" / row["id"]


def division(part: str = "test") -> Division:
    names: dict[str, tuple[str, ...]] = {"train": (), "val": (), "test": ()}
    return Division(0, **(names | {part: ("p",)}), images={"0": part}, patients={})


def _on_this_grid(system: StatusSystem) -> StatusSystem:
    return system._replace(cfg=replace(system.cfg, prepare=PrepareConfig(SPACING)))


@pytest.fixture
def networks(monkeypatch):
    """Networks that tell things by their HU, behind runs of these names."""

    def install(*names: str, probability: float = 0.75, metastatic: bool = True):
        def ask(crops):
            return np.array([[0.0, 5.0 if metastatic else -5.0] for _ in crops], np.float32)

        # The first channel may be the arterial phase, 1 HU above the venous one.
        system = {
            "organs": segmenter("tiny-organs", {AORTA: 4, AORTA + 1: 4}, 11),
            "pdac": segmenter("tiny-pdac", {TUMOR: 1, TUMOR + 1: 1}, 2),
            "nodes": segmenter("tiny-nodes-no-attention", {IN_REACH: 1, IN_REACH + 1: 1}, 2),
        }
        own = {name: network for name, network in system.items() if name in names}
        identifier = Identifier(
            IDENTIFICATION["tiny-identification"], [Network(ask, np.zeros(2, np.int16))]
        )
        told = {
            name: _on_this_grid(status_system(probability, nodes=name == "tumor + nodes"))
            for name in ("tumor + nodes", "tumor alone")
            if name in names
        }
        opened = Runs(
            [Run(Path(name), network.cfg, 1, division()) for name, network in own.items()],
            [Run(Path("identification"), identifier.cfg, 1, division())]
            if "identification" in names
            else [],
        )
        of_status = {n: [Run(Path(n), s.cfg, 1, division())] for n, s in told.items()}
        monkeypatch.setattr(stage, "config_class", lambda path: object)
        monkeypatch.setattr(stage, "open_runs", lambda paths, **_: opened)
        monkeypatch.setattr(stage, "open_networks", lambda paths, **_: of_status)
        monkeypatch.setattr(stage, "load_system", lambda *_: own)
        monkeypatch.setattr(stage, "load_identifier", lambda *_: identifier)
        monkeypatch.setattr(stage, "load_stager", lambda *_, rule: Stager(told, 20.0, rule))
        return opened, of_status

    return install


def test_without_any_run_every_stage_without_a_network_is_told(patient, tmp_path):
    assert stage.stage(patient.inputs, out=tmp_path / "out") == 0
    written = results(tmp_path / "out")
    assert written["without_network"] == ALL
    row, folder = only(tmp_path / "out")
    assert (row["decision"], row["score"], row["num_nodes"], row["pdac_ml"]) == (
        *("not told", None),
        *(None, None),
    )
    assert row["files"] == ["segmentation.nii.gz"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"No trained network was given for: {', '.join(ALL)}." in page
    assert "No network was given that tells the status." in page
    assert not nifti.read_label(folder / "segmentation.nii.gz").array.any()


def test_attention_is_made_of_given_organs(patient, tmp_path):
    stage.stage(patient.inputs, out=tmp_path / "out", organs=patient.organs)
    _, folder = only(tmp_path / "out")
    attention = canonical(written(folder / "attention.nii.gz")).array
    assert attention.max() == pytest.approx(1, abs=0.01)
    assert attention[8, 14, 10] > 0.9  # 5 mm from the aorta
    assert results(tmp_path / "out")["without_network"] == ALL[1:]


def test_what_is_given_comes_back_in_the_orientation_of_the_scan(patient, tmp_path):
    given = {"organs": patient.organs, "pdac": patient.pdac}
    stage.stage(patient.inputs, out=tmp_path / "out", **given)
    row, folder = only(tmp_path / "out")
    assert row["pdac_ml"] == tumor_mask().sum() * np.prod(SPACING) / 1000
    grid = nifti.read_grid(patient.venous)
    assert grid.direction.tolist() == FLIPPED.tolist()
    for name in ("organs", "tumor", "attention", "segmentation"):
        written = nifti.read_grid(folder / f"{name}.nii.gz")
        assert written.shape == grid.shape
        np.testing.assert_allclose(written.affine_lps, grid.affine_lps, atol=1e-5)
    organs = canonical(nifti.read_label(folder / "organs.nii.gz")).array
    np.testing.assert_array_equal(organs, organ_map())  # under the tumor too
    tumor = canonical(nifti.read_label(folder / "tumor.nii.gz")).array
    np.testing.assert_array_equal(tumor, tumor_mask())
    label = canonical(nifti.read_label(folder / "segmentation.nii.gz")).array
    np.testing.assert_array_equal(label, np.where(tumor_mask(), PDAC, organ_map()))


def test_intermediates_can_be_given_back(patient, tmp_path):
    first = {"organs": patient.organs, "pdac": patient.pdac}
    stage.stage(patient.inputs, out=tmp_path / "first", **first)
    _, before = only(tmp_path / "first")
    back = {"organs": before / "organs.nii.gz", "pdac": before / "tumor.nii.gz"}
    stage.stage(patient.inputs, out=tmp_path / "second", **back)
    _, after = only(tmp_path / "second")
    for name in ("organs", "tumor", "attention", "segmentation"):
        images = [written(folder / f"{name}.nii.gz") for folder in (before, after)]
        np.testing.assert_array_equal(*(image.array for image in images))
        np.testing.assert_array_equal(*(image.affine_lps for image in images))


@pytest.fixture
def registering(monkeypatch):
    """A registration that shifts nothing, and how often it was asked."""
    calls = []

    class Registered:
        def __init__(self, warped: Volume) -> None:
            self.warped, self.notes, self.quality = warped, ("registered",), {"method": "none"}

    def register(venous, arterial, cfg, **_):
        calls.append((venous, arterial))
        return Registered(venous.with_array(venous.array + 1))

    monkeypatch.setattr(phases, "register_phases", register)
    return calls


def test_phases_that_are_not_registered_are_and_the_result_can_be_given_back(
    patient, registering, tmp_path
):
    named = {"arterial": patient.arterial, "venous": patient.venous}
    stage.stage(out=tmp_path / "first", **named)
    row, before = only(tmp_path / "first")
    assert len(registering) == 1
    assert "arterial.nii.gz" in row["files"]
    assert "registered" in row["note"]
    arterial = before / "arterial.nii.gz"
    again = {"arterial": arterial, "venous": patient.venous, "registered": True}
    stage.stage(out=tmp_path / "second", **again)
    row, after = only(tmp_path / "second")
    assert len(registering) == 1
    assert "arterial.nii.gz" not in row["files"]
    assert not (after / "arterial.nii.gz").exists()
    again_read, venous = nifti.read(arterial), nifti.read(patient.venous)
    np.testing.assert_array_equal(again_read.array, venous.array + 1)
    np.testing.assert_allclose(again_read.affine_lps, venous.affine_lps, atol=1e-5)


def test_a_data_set_of_two_channels_is_not_registered_again(patient, registering, tmp_path):
    assert stage.stage(patient.inputs, out=tmp_path / "out") == 0
    assert registering == []


def test_registered_phases_must_lie_on_one_grid(patient, registering, tmp_path):
    short = scans()["arterial"]
    short = replace(short, array=short.array[:-2])
    named = {"arterial": patient.write("short", short), "venous": patient.venous}
    assert stage.stage(out=tmp_path / "out", registered=True, **named) == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert "--registered says that they lie on each other" in row["error"]
    assert registering == []


def test_both_phases_are_on_the_venous_grid_where_networks_see_the_arterial_one(
    patient, registering, networks, tmp_path
):
    opened, _ = networks("pdac")
    (run,) = opened.segmentation
    cfg = replace(run.cfg, data=replace(run.cfg.data, phases=("arterial",)))
    opened.segmentation[0] = replace(run, cfg=cfg)
    short = scans()["arterial"]
    short = replace(short, array=short.array[:-2])
    named = {"arterial": patient.write("short", short), "venous": patient.venous}
    stage.stage(out=tmp_path / "out", **named)
    row, folder = only(tmp_path / "out")
    assert row["input"] == str(patient.venous)
    assert nifti.read_grid(folder / "tumor.nii.gz").shape == nifti.read_grid(patient.venous).shape


def test_a_single_map_is_refused_for_several_examinations(patient, tmp_path):
    images = scans()
    for channel, phase in enumerate(("arterial", "venous")):
        patient.write(f"images/q_{channel:04d}", images[phase])
    for name in ("organs", "pdac"):
        path = getattr(patient, name)
        with refused(path, "is one label map, and there are 2 examinations", hint="<case>"):
            stage.stage(patient.inputs, out=tmp_path / "out", **{name: path})
    assert not (tmp_path / "out").exists()


def test_two_sources_of_one_stage_are_refused(patient, networks, tmp_path):
    networks("organs", "pdac")
    for name in ("organs", "pdac"):
        with refused(Path(name), f"is given with --{name}", hint="leave one of them out"):
            stage.stage(patient.inputs, out=tmp_path, **{name: getattr(patient, name)})


def test_a_case_without_a_mask_fails_and_a_mask_of_another_grid_too(patient, tmp_path):
    (tmp_path / "masks").mkdir()
    assert stage.stage(patient.inputs, out=tmp_path / "out", pdac=tmp_path / "masks") == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert "no tumor mask of case p" in row["error"]
    cut = scans()["venous"].with_array(tumor_mask())
    path = patient.write("cut", replace(cut, array=cut.array[1:]))
    assert stage.stage(patient.inputs, out=tmp_path / "out", pdac=path) == 1
    (row,) = results(tmp_path / "out")["cases"]
    assert row["status"] == "failed"


CHAIN = ("organs", "pdac", "nodes", "identification", "tumor + nodes")


def test_the_chain_ends_with_the_status(patient, networks, tmp_path):
    networks(*CHAIN, "tumor alone")
    assert stage.stage(patient.inputs, out=tmp_path / "out") == 0
    written = results(tmp_path / "out")
    assert written["without_network"] == []
    assert written["status_networks"] == ["tumor + nodes", "tumor alone"]
    row, folder = only(tmp_path / "out")
    assert (row["decision"], row["score"]) == ("positive", pytest.approx(0.75))
    # Four voxels of 8 mm³; nodes alone are positive from 20 mm³ on.
    assert row["scores"]["nodes alone, no attention"] == 4 * 8 == row["largest_positive_node_mm3"]
    assert row["calls"] == {
        **dict.fromkeys(("tumor + nodes", "tumor alone"), True),
        "nodes alone, no attention": True,
    }
    (node,) = read_rows(folder / "nodes.csv")
    assert (node["volume_mm3"], node["organ"]) == ("32.0", "aorta")
    assert float(node["probability"]) == pytest.approx(1 / (1 + np.exp(-5)))
    # Voxels 13.5 and 10.5 of 2 mm from the origin, the axes of LPS.
    label = canonical(nifti.read_label(folder / "segmentation.nii.gz"))
    (z, y, x) = np.argwhere(label.array == METASTATIC).mean(0)
    at = (label.affine_lps @ [z, y, x, 1])[:3]
    assert [float(node[f"{axis}_mm"]) for axis in "xyz"] == pytest.approx(at.tolist())
    page = (tmp_path / "out" / "report.html").read_text()
    for text in ("metastasis-positive", "Lymph nodes", "99.3 %", "aorta", "0.750", "32"):
        assert text in page
    assert ">nan<" not in page


def test_the_page_of_a_case_leads_to_its_tumor_and_nodes_in_both_phases(
    patient, networks, tmp_path
):
    networks(*CHAIN)
    stage.stage(patient.inputs, out=tmp_path / "out")
    row, folder = only(tmp_path / "out")
    page = (folder / row["page"]).read_text()
    phases = re.findall(r"<h2>([a-z]+ phase.*?)</h2>", page)
    assert phases == ["arterial phase", "venous phase"]
    assert re.findall(r'name="finding"[^>]*>(.*?)<', page) == ["tumor 1", "lymph node 1"]
    scene = json.loads(re.search(r'id="scene">(.*?)</script>', page)[1])
    (node,) = read_rows(folder / "nodes.csv")
    assert scene["centers"][1] == pytest.approx([float(node[f"{axis}_mm"]) for axis in "xyz"])
    # Voxels 8 of the axes: the ninth slice from the feet.
    assert re.search(r"lymph node 1</button></th>\s*(<td.*?</td>\s*)*<td[^>]*>9</td>", page)
    names = [of["name"] for of in scene["classes"].values()]
    assert names == ["aorta", "PDAC", "metastatic lymph node"]
    for text in ("metastatic with 99.3 %", "positive", "score 0.750"):
        assert text in page


def test_registered_phases_say_so_on_the_page_of_a_case(patient, registering, tmp_path):
    scans = [patient.arterial, patient.venous]
    assert stage.stage(scans, organs=patient.organs, out=tmp_path / "out") == 0
    row, folder = only(tmp_path / "out")
    page = (folder / row["page"]).read_text()
    phases = re.findall(r"<h2>([a-z]+ phase.*?)</h2>", page)
    assert phases == ["arterial phase, registered", "venous phase"]


def test_without_identification_the_network_with_nodes_is_not_asked(patient, networks, tmp_path):
    networks("organs", "pdac", "nodes", "tumor + nodes")
    stage.stage(patient.inputs, out=tmp_path / "out")
    row, folder = only(tmp_path / "out")
    assert (row["decision"], row["scores"]) == ("not told", {})
    assert "tumor + nodes: no network tells which nodes are metastatic" in row["note"]
    label = nifti.read_label(folder / "segmentation.nii.gz").array
    assert (label == NODE).sum() == 4
    assert results(tmp_path / "out")["without_network"] == ["identification"]
    assert "no network tells which nodes" in (tmp_path / "out" / "report.html").read_text()


def test_a_repeated_call_does_nothing_again_until_a_map_changes(patient, tmp_path):
    call = {"out": tmp_path / "out", "organs": patient.organs}
    stage.stage(patient.inputs, **call)
    row, folder = only(tmp_path / "out")
    before = (folder / "organs.nii.gz").stat().st_mtime_ns
    stage.stage(patient.inputs, **call)
    assert (folder / "organs.nii.gz").stat().st_mtime_ns == before
    emptier = organ_map()
    emptier[6:9] = 0
    patient.write("organs", scans()["venous"].with_array(emptier))
    stage.stage(patient.inputs, **call)
    again, _ = only(tmp_path / "out")
    assert again["call"] != row["call"]
    organs = canonical(nifti.read_label(folder / "organs.nii.gz")).array
    np.testing.assert_array_equal(organs, emptier)


def test_nodes_of_an_earlier_call_are_not_shown(patient, networks, tmp_path):
    networks(*CHAIN)
    stage.stage(patient.inputs, out=tmp_path / "out")
    networks("organs", "pdac")
    stage.stage(patient.inputs, out=tmp_path / "out")
    row, folder = only(tmp_path / "out")
    assert row["num_nodes"] is None
    assert not (folder / "nodes.csv").exists()
    assert "Close-ups" not in (tmp_path / "out" / "report.html").read_text()


def test_held_out_takes_the_cases_that_no_run_learned_from(patient, networks, tmp_path):
    """A network of the status may know fewer cases than one of nodes."""
    images, labels = scans(), scans()["venous"].with_array(organ_map())
    for case in "pq":
        for channel, phase in enumerate(("arterial", "venous")):
            patient.write(f"data/imagesTr/{case}_{channel:04d}", images[phase])
        patient.write(f"data/labelsTr/{case}", labels)
    described = {"channel_names": {"0": "CT", "1": "CT"}, "labels": {"background": 0, "aorta": 4}}
    described |= {"numTraining": 2, "file_ending": ".nii.gz"}
    (patient.folder / "data" / "dataset.json").write_text(json.dumps(described))
    opened, of_status = networks("organs", "tumor alone")
    whole = Division(0, ("q",), (), ("p",), {"P": "test", "Q": "train"}, {})
    opened.segmentation[0] = replace(opened.segmentation[0], division=whole)
    fewer = Division(0, (), (), ("p",), {"P": "test"}, {})
    of_status["tumor alone"][0] = replace(of_status["tumor alone"][0], division=fewer)
    stage.stage([patient.folder / "data"], out=tmp_path / "out", held_out=True)
    row, _ = only(tmp_path / "out")
    assert row["id"] == "p"
