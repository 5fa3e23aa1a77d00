"""PanTS, AbdomenAtlas and TotalSegmentator: a folder per case, a mask per class."""

import json

import numpy as np
import pytest

from core.datasets.abdomenatlas import IDS
from core.datasets.class_masks import ids_of_classes
from core.datasets.label_names import LabelNames
from core.datasets.pancreas import DUCT, IGNORE, PANCREAS, TUMOR
from core.datasets.pancreas_cases import read_pancreas
from core.datasets.read import read_dataset
from core.errors import InputError
from tests.core.datasets.public import SHAPE, box, image, save, write_masks, write_pants
from tests.refusals import refused


def stored(label):
    """Voxels (right, front, head) of a file along R, A and S."""
    return label.array.transpose(2, 1, 0)


# PanTS


@pytest.mark.parametrize("duct", [False, True])
def test_a_lesion_goes_before_a_duct_and_a_duct_before_the_pancreas(tmp_path, duct):
    write_pants(tmp_path, "PanTS_00000001")
    data = read_pancreas(tmp_path, duct=duct)
    (case,) = data.cases
    _, label = case.read()
    expected = box(2, 9) * PANCREAS
    expected[box(4, 8) > 0] = DUCT if duct else PANCREAS
    expected[box(6, 9) > 0] = TUMOR
    np.testing.assert_array_equal(stored(label), expected)
    assert set(data.annotated) == {PANCREAS, TUMOR} | ({DUCT} if duct else set())


def test_only_the_masks_that_count_are_read(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    for name in ("liver", "common_bile_duct", "pancreas_head"):
        folder = tmp_path / "LabelTr/PanTS_00000001/segmentations"
        (folder / f"{name}.nii.gz").write_bytes(b"")
    (case,) = read_pancreas(tmp_path).cases
    case.read()
    names = ["ct", "pancreas", "pancreatic_duct", "pancreatic_lesion"]
    assert sorted(path.name for path in case.files) == [f"{name}.nii.gz" for name in names]


def test_training_and_test_are_a_fold_where_both_have_labels(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    write_pants(tmp_path, "PanTS_00000002", seed=2)
    save(tmp_path / "ImageTe/PanTS_00009001/ct.nii.gz", image(3))
    data = read_pancreas(tmp_path)
    assert (len(data.cases), data.folds) == (2, ())
    assert [(s.path.parent.name, s.reason) for s in data.skipped] == [
        ("PanTS_00009001", "has no labels")
    ]
    write_pants(tmp_path, "PanTS_00009001", part="Te", seed=3)
    (fold,) = read_pancreas(tmp_path).folds
    assert fold == (("PanTS_00000001", "PanTS_00000002"), ("PanTS_00009001",))


def test_folds_of_the_user_go_before_those_of_the_data_set(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    write_pants(tmp_path, "PanTS_00009001", part="Te", seed=3)
    own = {"train": ["PanTS_00009001"], "val": ["PanTS_00000001"]}
    (tmp_path / "splits_final.json").write_text(json.dumps([own]))
    (fold,) = read_pancreas(tmp_path).folds
    assert fold == (("PanTS_00009001",), ("PanTS_00000001",))


def test_the_table_of_pants_tells_the_phase(tmp_path):
    words = {"PanTS_00000001": "Arterial", "PanTS_00000002": "Portal-venous"}
    words |= {"PanTS_00000003": "Non-contrast", "PanTS_00000004": ""}
    for case in words:
        write_pants(tmp_path, case)
    assert {case.phase for case in read_pancreas(tmp_path).cases} == {"unknown"}
    rows = "\n".join(f"{case},041Y,{phase}" for case, phase in words.items())
    (tmp_path / "metadata.csv").write_text(f"PanTS ID,age,CT phase\n{rows}\n")
    phases = [case.phase for case in read_pancreas(tmp_path).cases]
    assert phases == ["arterial", "venous", "native", "unknown"]


def test_cases_of_another_phase_than_is_wanted_are_left_out(tmp_path):
    for case in ("PanTS_00000001", "PanTS_00000002", "PanTS_00000003"):
        write_pants(tmp_path, case)
    rows = "PanTS_00000001,Arterial\nPanTS_00000002,Venous\n"
    (tmp_path / "metadata.csv").write_text(f"PanTS ID,CT phase\n{rows}")
    data = read_pancreas(tmp_path, phase="venous")
    # Nothing speaks against the one of which nothing is known.
    assert [case.id for case in data.cases] == ["PanTS_00000002", "PanTS_00000003"]
    assert {case.phase for case in data.cases} == {"venous"}
    ((_, reason, is_broken),) = data.skipped
    assert (reason, is_broken) == ("is of the arterial phase", False)


def test_a_table_of_pants_without_a_phase_says_nothing(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    (tmp_path / "metadata.csv").write_text("PanTS ID,age\nPanTS_00000001,041Y\n")
    assert [case.phase for case in read_pancreas(tmp_path).cases] == ["unknown"]


def test_a_mask_that_one_case_lacks_is_not_taken_for_empty(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    write_pants(tmp_path, "PanTS_00000002", without=("pancreatic_lesion",))
    first, second = read_pancreas(tmp_path).cases
    first.read()
    folder = tmp_path / "LabelTr/PanTS_00000002/segmentations"
    with refused(folder, "has no mask of pancreatic_lesion"):
        second.read()


def test_a_mask_is_0_and_1_or_0_and_255(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    path = tmp_path / "LabelTr/PanTS_00000001/segmentations/pancreas.nii.gz"
    (case,) = read_pancreas(tmp_path).cases
    expected = case.read_label().array
    save(path, box(2, 9) * 255)
    np.testing.assert_array_equal(case.read_label().array, expected)
    save(path, box(2, 9) * 7)
    with refused(path, "label ids [7]", hint="label map of another data set"):
        case.read_label()


def test_a_mask_on_another_grid_is_refused(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    path = tmp_path / "LabelTr/PanTS_00000001/segmentations/pancreatic_lesion.nii.gz"
    save(path, box(2, 9)[:-1])
    (case,) = read_pancreas(tmp_path).cases
    with refused(None, "pancreatic_lesion.nii.gz does not fit", "shape"):
        case.read_label()


def test_a_mask_stored_along_other_axes_is_the_same_mask(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    (case,) = read_pancreas(tmp_path).cases
    expected = case.read_label()
    path = tmp_path / "LabelTr/PanTS_00000001/segmentations/pancreatic_lesion.nii.gz"
    save(path, box(6, 9), axes="LPS")
    np.testing.assert_array_equal(case.read_label().array, expected.array)


def test_the_user_may_say_that_a_class_is_to_be_ignored(tmp_path):
    write_pants(tmp_path, "PanTS_00000001")
    data = read_pancreas(tmp_path, labels=LabelNames({"pancreatic duct": "ignore"}))
    (case,) = data.cases
    label = stored(case.read_label())
    assert (label[(box(4, 8) > 0) & (box(6, 9) == 0)] == IGNORE).all()
    assert data.provenance == {"labels": {"pancreatic duct": "ignore"}}


# AbdomenAtlas


def write_atlas(root, case, *, masks=None, combined=None, ct=True):
    if ct:
        save(root / case / "ct.nii.gz", image(0))
    if masks is not None:
        write_masks(root / case, masks)
    if combined is not None:
        save(root / case / "combined_labels.nii.gz", combined)


def test_combined_labels_and_masks_give_the_same(tmp_path):
    combined = box(2, 6) * IDS["pancreas"]
    combined[box(7, 9) > 0] = IDS["spleen"]
    write_atlas(tmp_path, "BDMAP_00000001", combined=combined)
    write_atlas(tmp_path, "BDMAP_00000002", masks={"pancreas": box(2, 6), "spleen": box(7, 9)})
    data = read_pancreas(tmp_path)
    for case in data.cases:
        np.testing.assert_array_equal(stored(case.read_label()), box(2, 6) * PANCREAS)
    assert set(data.annotated) == {PANCREAS}


def test_masks_go_before_combined_labels_of_other_numbers(tmp_path):
    wrong = box(0, 9) * np.uint8(200)
    write_atlas(tmp_path, "BDMAP_00000001", masks={"pancreas": box(2, 6)}, combined=wrong)
    (case,) = read_pancreas(tmp_path).cases
    np.testing.assert_array_equal(stored(case.read_label()), box(2, 6) * PANCREAS)


def test_a_class_that_a_later_version_adds_goes_before_the_pancreas(tmp_path):
    masks = {"pancreas": box(2, 8), "pancreatic_lesion": box(3, 5), "spleen": box(8, 9)}
    write_atlas(tmp_path, "BDMAP_00000001", masks=masks)
    (case,) = read_pancreas(tmp_path).cases
    expected = box(2, 8) * PANCREAS
    expected[box(3, 5) > 0] = TUMOR
    np.testing.assert_array_equal(stored(case.read_label()), expected)


def test_a_case_without_its_image_is_skipped_with_a_message(tmp_path):
    write_atlas(tmp_path, "BDMAP_00000001", masks={"pancreas": box(2, 6)})
    write_atlas(tmp_path, "BDMAP_00005197", masks={"pancreas": box(2, 6)}, ct=False)
    data = read_pancreas(tmp_path)
    assert [case.id for case in data.cases] == ["BDMAP_00000001"]
    ((path, reason, is_broken),) = data.skipped
    assert (path.name, is_broken) == ("BDMAP_00005197", False)
    assert reason == "has no ct.nii.gz: it was given out without"


def test_a_version_of_fewer_organs_is_asked_for_no_more(tmp_path):
    write_atlas(tmp_path, "BDMAP_00000001", masks={"pancreas": box(2, 6), "aorta": box(0, 1)})
    assert set(read_dataset(tmp_path).label_ids) == {"background", "aorta", "pancreas"}


def test_a_folder_of_data_sets_is_none_and_is_answered_with_a_question(tmp_path):
    write_atlas(tmp_path / "atlas", "BDMAP_00000001", masks={"pancreas": box(2, 6)})
    write_pants(tmp_path / "pants", "PanTS_00000001")
    for read in (read_dataset, read_pancreas):
        with pytest.raises(InputError, match="did you mean atlas or pants in it"):
            read(tmp_path)


# TotalSegmentator


def write_total(root, case, pancreas, *, others=("liver", "adrenal_gland_left")):
    save(root / case / "ct.nii.gz", image(int(case[1:])))
    write_masks(root / case, {"pancreas": pancreas, **dict.fromkeys(others, box(0, 1))})


def test_an_empty_pancreas_is_a_normal_case(tmp_path):
    write_total(tmp_path, "s0001", box(2, 6))
    write_total(tmp_path, "s0002", np.zeros(SHAPE, np.uint8))
    first, second = read_pancreas(tmp_path).cases
    np.testing.assert_array_equal(stored(first.read_label()), box(2, 6) * PANCREAS)
    assert not second.read()[1].array.any()


def test_the_test_part_of_the_table_is_a_fold(tmp_path):
    for case in ("s0001", "s0002", "s0003", "s0004"):
        write_total(tmp_path, case, box(2, 6))
    assert read_pancreas(tmp_path).folds == ()
    rows = "s0001;44;train\ns0002;;val\ns0003;50;test\n"
    (tmp_path / "meta.csv").write_text(f"image_id;age;split\n{rows}")
    (fold,) = read_pancreas(tmp_path).folds
    assert fold == (("s0001", "s0002"), ("s0003",))


def test_numbers_of_classes_do_not_count_and_names_do(tmp_path):
    assert ids_of_classes(["spleen", "pancreatic_lesion", "aorta", "duct", "liver_tumor"]) == {
        "background": 0,
        "aorta": 1,
        "spleen": 2,
        "duct": 3,
        "liver_tumor": 4,
        "pancreatic_lesion": 5,
    }


def test_macs_shadows_are_no_masks(tmp_path):
    write_total(tmp_path, "s0001", box(2, 6))
    (tmp_path / "s0001/segmentations/._pancreas.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    (case,) = read_dataset(tmp_path).cases
    assert sorted(case.masks) == ["adrenal_gland_left", "liver", "pancreas"]


def test_a_public_layout_without_a_pancreas_is_refused(tmp_path):
    save(tmp_path / "s0001/ct.nii.gz", image(1))
    write_masks(tmp_path / "s0001", {"liver": box(0, 1)})
    with refused(tmp_path, "needs a label for pancreas", hint="--labels NAME=pancreas"):
        read_pancreas(tmp_path)
