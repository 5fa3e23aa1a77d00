"""Reports of every paper's own job: pages, pictures, and remarks on scans."""

import html as html_module
import re
import shutil
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import nibabel as nib
import numpy as np
import pydicom
import pytest

from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.report import html
from tests.contracts.commands import forge
from tests.contracts.systems import results


def test_a_page_embeds_a_bounded_number_of_pictures(system, output, tmp_path, monkeypatch):
    """Of results that are there already, whose page is written anew."""
    out = tmp_path / "out"
    shutil.copytree(output, out)
    words = (system.paper.verb, *system.paper.inputs(system.data))
    words = (*words, *system.paper.runs(system.runs), "--out", out)
    folded = {}
    for number in (1, 40):
        monkeypatch.setattr(html, "MAX_PICTURES", number)
        assert system.paper(*words) == 0
        folded[number] = (out / "report.html").read_text().count("<details")
    assert len(results(out)["cases"]) == 6
    assert folded[40] - folded[1] == 5


def test_every_finished_case_of_ct_has_a_page_to_scroll_through_that_refers_to_nothing(
    system, output
):
    index = (output / "report.html").read_text("utf-8")
    for case in results(output)["cases"]:
        path = output / "cases" / case["id"] / "report.html"
        assert path.is_file() == ("page" in case) == system.paper.has_volumes
        linked = f'href="cases/{quote(case["id"])}/report.html"' in index
        assert linked == system.paper.has_volumes
        if linked:
            text = path.read_text("utf-8")
            assert "default-src 'none'" in text
            assert 'id="image-0"' in text
            assert not re.search(r"https?:|\b(src|href)=|url\(|@import|fetch\(", text)


def test_pages_of_dicom_tell_nothing_of_its_headers(system, tmp_path):
    paper, out = system.paper, tmp_path / "out"
    if not paper.has_volumes:
        pytest.skip("pictures have no page of their own")
    phantom = make(0, shape=(18, 24, 32), spacing_mm=(8, 8, 8), tumor_diameter_mm=None)
    study = write_dicom_study(tmp_path / "study", phantom)
    secrets = {"PatientName": "Secret^Jane", "PatientID": "MRN4711", "InstitutionName": "Clinic"}
    for path in filter(Path.is_file, study.rglob("*")):
        dataset = pydicom.dcmread(path)
        for name, secret in secrets.items():
            setattr(dataset, name, secret)
        dataset.save_as(path)
    words = (*paper.runs(system.runs), *paper.quick, "--out", out)
    assert paper(paper.verb, study, *words) == 0
    pages = [out / "cases" / case["id"] / case["page"] for case in results(out)["cases"]]
    for page in (out / "report.html", *pages):
        text = page.read_text("utf-8")
        assert not [secret for secret in secrets.values() if secret in text]


def stretch(data: Path, factor: float) -> None:
    """Give the volumes of a data set larger voxels."""
    for path in data.glob("imagesTr/*"):
        image = nib.load(path)
        affine = image.affine @ np.diag([factor, factor, factor, 1.0])
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)


UNLIKE = "is unlike the scans that"


@pytest.mark.slow  # asks each system on another grid
def test_scans_unlike_those_of_the_training_are_told_with_numbers(system, output, tmp_path, capsys):
    if not system.paper.has_volumes:
        pytest.skip("pictures have no spacing that networks were trained at")
    assert not any(UNLIKE in line for case in results(output)["cases"] for line in case["remarks"])
    data = tmp_path / "data"
    system.paper.write(data, 5, 2)
    stretch(data, 1.6)
    words = (system.paper.verb, *system.paper.inputs(data))
    out = tmp_path / "out"
    assert system.paper(*words, *system.paper.runs(system.runs), "--out", out) == 0
    told = [[line for line in c["remarks"] if UNLIKE in line] for c in results(out)["cases"]]
    stderr, page = capsys.readouterr().err, html_text(out / "report.html")
    assert all(told)
    for line in chain.from_iterable(told):
        assert re.search(r"voxels of [\d.]+ × .* mm, in training [\d.]+ × .* mm", line)
        assert line in stderr
        assert line in page
    for name in system.paper.recipes:  # as runs of older versions
        forge(system.runs / name, tmp_path / "runs" / name, scans=None)
    old = tmp_path / "old"
    assert system.paper(*words, *system.paper.runs(tmp_path / "runs"), "--out", old) == 0
    assert not any(UNLIKE in line for case in results(old)["cases"] for line in case["remarks"])


def html_text(page: Path) -> str:
    return html_module.unescape(page.read_text("utf-8"))
