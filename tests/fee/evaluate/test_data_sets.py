"""Answers beside data sets of other layouts, whose patients and grids have to be found."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError
from core.io.nifti import write
from fee.evaluate import evaluate
from tests.core.io.dicom.make import save, slices
from tests.fee.evaluate.answers import (
    PNG,
    SHAPE,
    TRUE,
    predicted,
    volume,
    write_case,
    write_results,
)


def write_nnunet(root: Path, labels: dict[str, int], names: str) -> Path:
    """The same pancreas in every image."""
    for name in names:
        label = np.minimum(TRUE, max(labels.values()))
        write(root / "imagesTr" / f"{name}_0000.nii.gz", volume(TRUE.astype(np.int16)))
        write(root / "labelsTr" / f"{name}.nii.gz", volume(label))
    description = {
        "name": "Own",
        "channel_names": {"0": "CT"},
        "labels": labels,
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def test_images_of_nnunet_are_matched_by_path_or_by_name_and_grid(pred, tmp_path):
    data = write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1, "tumor": 2}, "abc")
    inputs = {
        "a": str(data / "imagesTr" / "a_0000.nii.gz"),
        "b": "elsewhere/b_0000.nii.gz",
        "c": "elsewhere/c_0000.nii.gz",
    }
    cases = [write_case(pred, name) | {"input": path} for name, path in inputs.items()]
    small = predicted("c")[:4]
    write(pred / "cases" / "c" / "arterial" / "segmentation.nii.gz", volume(small))
    write_results(pred, cases)
    metrics = evaluate([pred], [data], tmp_path / "out")
    rows = {row["id"]: row for row in metrics["rows"]}
    assert set(rows) == {"a", "b"}  # c has a name that is known, and another grid
    assert metrics["summary"]["num_without_truth"] == 1
    assert rows["a"]["tumor"] is True
    assert rows["a"]["dsc"] == 1


def test_what_nobody_annotated_is_neither_missed_nor_a_false_alarm(pred, tmp_path):
    ids = {"background": 0, "pancreas": 1, "tumor": 2, "ignore": 3}
    data = write_nnunet(tmp_path / "data", ids, "a")
    label, found = np.minimum(TRUE, 2), predicted("a")
    label[:, :2], found[:, :2] = 3, 1
    write(data / "labelsTr" / "a.nii.gz", volume(label))
    case = write_case(pred, "a") | {"input": str(data / "imagesTr" / "a_0000.nii.gz")}
    write(pred / "cases" / "a" / "arterial" / "segmentation.nii.gz", volume(found))
    write_results(pred, [case])
    (row,) = evaluate([pred], [data], tmp_path / "out")["rows"]
    assert (row["dsc"], row["miou"]) == (1, 1)


def test_the_user_says_what_label_names_mean(pred, tmp_path):
    data = write_nnunet(tmp_path / "data", {"background": 0, "gland": 1, "mass": 2}, "a")
    case = write_case(pred, "a") | {"input": str(data / "imagesTr" / "a_0000.nii.gz")}
    write_results(pred, [case])
    words = "gland=pancreas,mass=tumor"
    (row,) = evaluate([pred], [data], tmp_path / "out", labels=words)["rows"]
    assert (row["tumor"], row["dsc"]) == (True, 1)


def test_nih_patients_are_matched_by_their_folder(pred, tmp_path):
    folder = tmp_path / "data" / "PANCREAS_0007"
    made = slices(np.full((*SHAPE,), 50, np.int16), step_mm=(0, 0, 5), spacing_mm=(1, 1))
    save(folder / "1" / "2", made)
    write(tmp_path / "data" / "labels" / "label0007.nii.gz", volume((TRUE > 0).astype(np.uint8)))
    write_results(pred, [write_case(pred, "d") | {"input": str(folder)}])
    (row,) = evaluate([pred], [tmp_path / "data"], tmp_path / "out")["rows"]
    assert (row["patient"], row["tumor"], row["right"]) == ("PANCREAS_0007", False, True)


def test_data_without_volumes_or_without_an_answer_are_refused(pred, tmp_path):
    for part in ("images", "masks"):
        (tmp_path / "slices" / part).mkdir(parents=True)
        (tmp_path / "slices" / part / "a.png").write_bytes(PNG)
    with pytest.raises(InputError, match="no CT volumes") as error:
        evaluate([pred], [tmp_path / "slices"], tmp_path / "out")
    assert error.value.path == tmp_path / "slices"
    unlabelled = write_nnunet(tmp_path / "data", {"background": 0, "pancreas": 1}, "a")
    with pytest.raises(InputError, match="whether there is a tumor"):
        evaluate([pred], [unlabelled], tmp_path / "out")
