"""Annotated two-phase cases of a data set, and organ maps that are kept apart."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from core.errors import InputError
from core.io import nifti
from core.volume import CANONICAL_DIRECTION, Volume
from lnmet.cases import organ_maps, read_cases
from lnmet.config import ORGANS
from lnmet.labels import NODE, PANCREAS, PDAC, lnmet_labels
from tests.core.datasets.public import box, write_pants

SHAPE = (4, 5, 6)
AORTA = ORGANS.index("aorta") + 1


def volume(array: np.ndarray) -> Volume:
    return Volume(array, (2.0, 1.0, 1.0), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


def write(root: Path, labels: dict[str, int], label: np.ndarray, channels=("CT", "CT")) -> None:
    for channel in range(len(channels)):
        image = np.full(SHAPE, 100 * channel, np.int16)
        nifti.write(root / "imagesTr" / f"a_{channel:04d}.nii.gz", volume(image))
    nifti.write(root / "labelsTr" / "a.nii.gz", volume(label))
    described = {
        "channel_names": {str(c): name for c, name in enumerate(channels)},
        "labels": {"background": 0} | labels,
        "numTraining": 1,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(described))


@pytest.fixture
def data(tmp_path) -> Path:
    label = np.zeros(SHAPE, np.uint8)
    label[0], label[1, 2], label[3, 4] = 7, 2, 5
    write(tmp_path / "data", {"pancreas": 7, "tumor": 2, "lymph_node": 5}, label)
    return tmp_path / "data"


def test_phases_and_labels_are_told_by_names(data):
    (case,) = read_cases(data).cases
    images, label = case.read()
    assert case.phases == ("arterial", "venous")
    assert [image.array.max() for image in images] == [0, 100]
    assert case.image.name == "a_0001.nii.gz"
    assert np.unique(label.array).tolist() == [0, PANCREAS, PDAC, NODE]
    assert (label.array[0] == PANCREAS).all()
    assert case.annotated == {PANCREAS, PDAC, NODE}


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (("CT",), ("venous",)),
        (("arterial CT",), ("arterial",)),
        (("portal venous", "late arterial"), ("venous", "arterial")),
    ],
)
def test_names_of_channels_tell_phases(tmp_path, channels, expected):
    write(tmp_path, {"lymph node": 1}, np.ones(SHAPE, np.uint8), channels)
    (case,) = read_cases(tmp_path).cases
    assert case.phases == expected


@pytest.mark.parametrize("channels", [("CT", "CT", "CT"), ("venous", "portal"), ("venous", "CT")])
def test_channels_that_are_no_two_phases_are_refused(tmp_path, channels):
    write(tmp_path, {"lymph node": 1}, np.ones(SHAPE, np.uint8), channels)
    with pytest.raises(InputError) as refused:
        read_cases(tmp_path)
    assert refused.value.path == tmp_path / "dataset.json"


def test_phases_on_two_grids_are_refused_with_the_way_out(data):
    path = data / "imagesTr" / "a_0001.nii.gz"
    image = nib.load(path)
    affine = image.affine.copy()
    affine[0, 3] += 5
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine), path)
    (case,) = read_cases(data).cases
    with pytest.raises(InputError) as refused:
        case.read()
    assert refused.value.path == path
    assert "lnmet register" in refused.value.hint


def test_organ_maps_fill_what_a_data_set_does_not_name(data, tmp_path):
    """TotalSegmentator calls the aorta 52 and the pancreas 7."""
    maps = np.zeros(SHAPE, np.uint8)
    maps[0], maps[1], maps[2] = 52, 52, 7
    nifti.write(tmp_path / "maps" / "a.nii.gz", volume(maps))
    organs = organ_maps(tmp_path / "maps", "totalsegmentator")
    (case,) = read_cases(data, organs=organs).cases
    label = case.read_label().array
    assert (label[0] == PANCREAS).all()  # annotated
    assert set(np.unique(label[1])) == {AORTA, PDAC}
    # The data set says itself where the pancreas is.
    assert not label[2].any()
    assert {AORTA, PANCREAS, NODE} <= case.annotated
    assert ORGANS.index("SMA") + 1 not in case.annotated
    assert tmp_path / "maps" / "a.nii.gz" in case.files


def test_maps_of_our_own_output_are_found(data, tmp_path):
    path = tmp_path / "out" / "cases" / "a" / "segmentation.nii.gz"
    nifti.write(path, volume(np.full(SHAPE, AORTA, np.uint8)))
    assert organ_maps(tmp_path / "out", "lnmet").of("a") == path


def test_a_missing_map_or_an_unknown_name_is_refused(data, tmp_path):
    (tmp_path / "maps").mkdir()
    with pytest.raises(InputError, match="case a"):
        read_cases(data, organs=organ_maps(tmp_path / "maps", "amos"))
    with pytest.raises(InputError, match="no label map"):
        organ_maps(tmp_path / "maps", "total")
    with pytest.raises(InputError) as refused:
        organ_maps(tmp_path / "none", "amos")
    assert refused.value.path == tmp_path / "none"


def test_what_a_label_map_lacks_is_told(tmp_path, caplog):
    organ_maps(tmp_path, "btcv")
    assert "duodenum" in caplog.text
    assert "LGA" in caplog.text


def test_masks_of_a_public_data_set_are_organs_and_the_tumor(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    (case,) = read_cases(tmp_path).cases
    images, label = case.read()
    assert (case.phases, len(images)) == (("venous",), 1)
    assert case.annotated == {PANCREAS, PDAC}
    expected = box(2, 9) * PANCREAS
    expected[box(6, 9) > 0] = PDAC
    np.testing.assert_array_equal(label.array, expected[::-1, ::-1].transpose(2, 1, 0))


def test_the_user_says_what_a_name_means(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    (case,) = read_cases(tmp_path, labels=lnmet_labels("liver=spleen,pancreas=background")).cases
    assert case.annotated == {1, PANCREAS, PDAC}  # its duct is of the pancreas
    assert (case.read_label().array == 1).sum() == box(0, 3).sum()
