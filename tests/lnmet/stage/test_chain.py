"""From two phases to the status by networks, and what is written."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from core.csv_io import read_rows
from core.io import nifti
from core.train.run_folder import Division
from core.volume import canonical
from lnmet import stage
from lnmet.labels import METASTATIC, NODE
from tests.lnmet.stage.patient import only, organ_map, results, scans

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
