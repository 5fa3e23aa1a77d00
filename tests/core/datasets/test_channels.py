import json

import numpy as np
import pytest

from core.datasets.channels import channel_of_phase, ct_channel
from core.datasets.pancreas_cases import read_pancreas
from core.io import nifti
from core.volume import CANONICAL_DIRECTION, Volume
from tests.refusals import refused

PATH = "dataset.json"
SHAPE = (10, 12, 14)


@pytest.mark.parametrize(
    ("names", "index"),
    [
        (["CT"], 0),
        (["zscore"], 0),  # the name of a normalisation, which nnU-Net takes as well
        (["portal venous"], 0),
        (["PET", "CT"], 1),
        (["ct", "SUV"], 0),
        (["T1", "T2w", "CT (HU)"], 2),
        (["PET/CT: PET", "CT_venous"], 1),
        (["noNorm", "arterial"], 1),
    ],
)
def test_the_channel_of_ct_is_told_by_its_name(names, index):
    assert ct_channel(names, PATH) == index


def test_no_channel_of_ct_or_several_are_refused():
    for names in (["PET"], ["MRI"], ["T1ce"], ["SUV"]):
        with refused(PATH, "must be CT", names, hint="alone"):
            ct_channel(names, PATH)
    for names in (["PET", "MR"], ["image", "prior"]):
        with refused(PATH, "no channel is called CT", names, hint='"CT"'):
            ct_channel(names, PATH)
    for names in (["CT", "CT"], ["arterial CT", "venous CT"]):
        with refused(PATH, "several channels are CT", names, hint="one of them"):
            ct_channel([*names, "PET"], PATH)


def data_set(root, names, key="channel_names"):
    """Two channels of one case, of which the second is 100 HU brighter, and a label."""
    hu = np.random.default_rng(0).integers(-1000, 200, SHAPE).astype(np.int16)
    for folder, file, array in (
        ("imagesTr", "a_0000.nii.gz", hu),
        ("imagesTr", "a_0001.nii.gz", hu + 100),
        ("labelsTr", "a.nii.gz", (hu > 0).astype(np.uint8)),
    ):
        (root / folder).mkdir(parents=True, exist_ok=True)
        nifti.write(root / folder / file, Volume(array, (1, 1, 1), (0, 0, 0), CANONICAL_DIRECTION))
    described = {key: dict(enumerate(names)), "labels": {"background": 0, "pancreas": 1}}
    if key == "modality":
        described["training"] = [{"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}]
    else:
        described["file_ending"] = ".nii.gz"
    (root / PATH).write_text(json.dumps(described))
    return hu


@pytest.mark.parametrize("key", ["channel_names", "modality"])
@pytest.mark.parametrize("names", [("PET", "CT"), ("CT", "PET")])
def test_the_ct_of_a_case_is_read_wherever_it_stands(tmp_path, key, names):
    hu = data_set(tmp_path, names, key)
    (case,) = read_pancreas(tmp_path).cases
    index = names.index("CT")
    assert case.image.name == f"a_000{index}.nii.gz"
    np.testing.assert_array_equal(case.read()[0].array, hu + 100 * index)


def test_the_field_case_gives_its_ct(shared_data):
    for case in read_pancreas(shared_data / "field_cases/ct_is_second_channel/data").cases:
        assert case.image.name == f"{case.id}_0001.nii.gz"
        assert case.read()[0].array.min() == pytest.approx(-1018, abs=1)


@pytest.mark.parametrize(
    ("names", "phase", "index"),
    [
        (["CT", "CT"], "arterial", 0),
        (["CT", "CT"], "venous", 1),
        (["portal venous", "arterial"], "arterial", 1),
        (["arterial"], "arterial", 0),
        (["CT"], "arterial", 0),  # nothing tells that it is another phase
        (["PET", "CT"], None, 1),
    ],
)
def test_the_channel_of_a_phase_is_told_by_its_name_or_its_place(names, phase, index):
    assert channel_of_phase(names, phase, PATH) == index


def test_a_data_set_without_the_phase_is_refused():
    with refused(PATH, "no arterial phase", ["venous CT"]):
        channel_of_phase(["venous CT"], "arterial", PATH)
    with refused(PATH, "several channels are CT", hint="keep one"):
        channel_of_phase(["CT", "CT"], None, PATH)
