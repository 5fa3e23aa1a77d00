"""Data sets and folders from the field that once went wrong without a word."""

import json
import os
import shutil

import nibabel as nib
import numpy as np
import pytest

from core.commands import results
from core.commands.train import choose_fold
from core.io.inventory import find_scans
from s4c.config import PrepareConfig
from s4c.evaluate import evaluate
from s4c.prepare import find_cache, open_cases
from tests.contracts.commands import S4C


@pytest.fixture
def field(shared_data, tmp_path):
    """Copy of a case from the field that may be written to."""

    def copy(name):
        source = shared_data / "field_cases" / name
        if not source.is_dir():
            pytest.skip(f"the field case is not here: {source}")
        for path in source.rglob("*"):
            if path.is_file():
                target = tmp_path / name / path.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        return tmp_path / name

    return copy


def test_labelled_cases_that_were_left_out_give_exit_status_1(field, tmp_path):
    data = field("prepare_exit_0_with_failed_cases") / "data"
    assert S4C("prepare", "--data", data, "--out", tmp_path / "cache") == 1
    (index,) = (tmp_path / "cache").glob("*/index.json")
    (part,) = json.loads(index.read_text())["data"].values()
    assert sorted(part["cases"]) == ["case_001", "case_003"]


def test_prescribed_folds_are_used(field, tmp_path):
    data = field("splits_final_ignored") / "data"
    folder = find_cache([data], PrepareConfig(), tmp_path / "run")
    parts = choose_fold(folder, 0, [case.id for case in open_cases(folder)], lambda: [])
    assert (parts.train, parts.test) == (("case_000", "case_001"), ("case_002", "case_003"))


def test_two_scans_of_one_file_name_keep_their_own_truth(field, tmp_path):
    data = field("s4c_evaluate_same_file_name") / "data"
    rows = []
    for number, folder in enumerate(("s0001", "s0002")):
        image = nib.load(data / folder / "ct.nii.gz")
        path = tmp_path / "out" / "cases" / f"ct-{number}" / "segmentation.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), path)
        row = {"id": f"ct-{number}", "input": data / folder / "ct.nii.gz", "status": "done"}
        row |= {"decision": "normal", "score": 0.0, "tumor_ml": 0.0, "seconds": 1.0, "part": None}
        rows.append(row | {"num_tumor_voxels": 0, "num_duct_voxels": 0, "pancreas_ml": 0.0})
        (path.parent / "overlay.png").write_bytes(PNG)
    runs = [{"path": "run", "step": 1, "fingerprint": "f", "fold": None}]
    rule = {"min_tumor_voxels": 50, "min_duct_voxels": 0}
    options = {"provenance": {}, "skipped": [], "runs": runs, "fold": None, "system": "16³"}
    options |= {"phases": [], "positive": "PDAC", "rule": rule}
    results.write(tmp_path / "out", rows, **options)
    told = evaluate([tmp_path / "out"], [data], tmp_path / "eval")["rows"]
    assert [(row["patient"], row["abnormal"]) for row in told] == [
        ("s0001", True),
        ("s0002", False),
    ]


def test_a_foreign_file_of_any_name_harms_no_result(field, tmp_path):
    study = field("file_names_not_utf8") / "study"
    name = os.fsdecode("报告.txt".encode("gbk"))
    (study / "series" / name).write_text("text")
    scans, skipped = find_scans(study)
    assert [scan.id for scan in scans] == ["series"]
    written = results.write(tmp_path, [], skipped=skipped, provenance={})
    assert json.loads((tmp_path / "results.json").read_bytes().decode()) == written
    (left,) = written["skipped"]
    assert left["path"].endswith(name)


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000"
    "020001e221bc330000000049454e44ae426082"
)
"""One gray pixel."""
