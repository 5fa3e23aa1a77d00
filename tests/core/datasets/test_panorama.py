"""PANORAMA: studies of one patient stay together, and the table says who has cancer."""

import pytest

from core.datasets.case import Case, Dataset, patients_of
from core.datasets.panorama import is_panorama, read_panorama, read_table
from core.errors import InputError
from tests.refusals import refused

HEADER = "PANORAMA_patient_id,PANORAMA_study_id,patient_age,label\n"


def dataset(root, *ids: str) -> Dataset:
    cases = tuple(Case(id_, id_, (root / id_,), root / id_) for id_ in ids)
    return Dataset("p", root, {"pancreas": 1}, ("CT",), cases, (), ())


def diagnoses(root):
    return {id_: row.tumor for id_, row in read_table(root).items() if row.tumor is not None}


def test_studies_of_a_patient_are_told_by_their_names(tmp_path):
    studies = dataset(tmp_path, "100000_00001", "100000_00002", "100001_00001")
    ids = [case.id for case in studies.cases]
    assert is_panorama(ids)
    patients = patients_of(ids, pattern=None, table=None)
    assert list(patients.values()) == ["100000", "100000", "100001"]
    assert not is_panorama(["100000_00001", "pancreas_001"])


@pytest.mark.parametrize("study", ["1", "1.0", "100000_00001"])
def test_the_table_tells_who_has_cancer(tmp_path, study):
    folder = tmp_path / "panorama_labels"
    folder.mkdir()
    rows = f"100000,{study},042Y,PDAC\n100001,00002,,non-PDAC\n100002,1,,\n"
    (folder / "clinical_information.csv").write_text(HEADER + rows)
    assert diagnoses(tmp_path) == {"100000_00001": True, "100001_00002": False}


def test_without_a_table_nothing_is_known(tmp_path):
    assert diagnoses(tmp_path) == {}


def test_an_unknown_diagnosis_is_refused(tmp_path):
    (tmp_path / "clinical_information.csv").write_text(HEADER + "100000,1,,IPMN\n")
    with pytest.raises(InputError, match="label must be PDAC or non-PDAC; got 'IPMN'"):
        read_table(tmp_path)


def test_an_id_that_is_no_number_is_refused(tmp_path):
    path = tmp_path / "clinical_information.csv"
    path.write_text(HEADER + "100000,first,,PDAC\n")
    with refused(path, "no numbers: patient '100000', study 'first'"):
        read_table(tmp_path)


def test_a_folder_without_labels_is_not_panorama(tmp_path):
    with pytest.raises(ValueError, match="holds no labels of PANORAMA"):
        read_panorama(tmp_path)
