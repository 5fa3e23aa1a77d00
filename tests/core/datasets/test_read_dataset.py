import json
import re

import pytest

from core.datasets.case import Fold
from core.datasets.read import read_dataset
from core.errors import InputError

NNUNET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "pancreas": 1, "tumor": 2},
    "numTraining": 2,
    "file_ending": ".nii.gz",
}
MSD = {
    "name": "Pancreas",
    "modality": {"0": "CT"},
    "labels": {"0": "background", "1": "pancreas", "2": "cancer"},
    "training": [
        {"image": f"./imagesTr/pancreas_{n}.nii.gz", "label": f"./labelsTr/pancreas_{n}.nii.gz"}
        for n in ("004", "001")
    ],
    "test": ["./imagesTs/pancreas_002.nii.gz"],
}


def make(root, description, files):
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def nnunet(root, *case_ids, **changes):
    files = [f"imagesTr/{c}_0000.nii.gz" for c in case_ids]
    files += [f"labelsTr/{c}.nii.gz" for c in case_ids]
    return make(root, {**NNUNET, **changes}, files)


def reasons(dataset):
    return {s.path.name: s.reason for s in dataset.skipped}


def test_nnunet_cases_are_found_by_their_names(tmp_path):
    dataset = read_dataset(nnunet(tmp_path / "Dataset007_Pancreas", "b_1", "a"))
    assert [c.id for c in dataset.cases] == ["a", "b_1"]
    assert dataset.cases[1].images == (dataset.root / "imagesTr" / "b_1_0000.nii.gz",)
    assert dataset.cases[1].label == dataset.root / "labelsTr" / "b_1.nii.gz"
    assert dataset.label_ids == {"background": 0, "pancreas": 1, "tumor": 2}
    assert (dataset.name, dataset.channels) == ("Dataset007_Pancreas", ("CT",))
    assert (dataset.splits, dataset.skipped) == ((), ())


def test_ids_that_end_in_four_digits_keep_them(tmp_path):
    dataset = read_dataset(nnunet(tmp_path, "100000_0001", "100000_00002"))
    assert [c.id for c in dataset.cases] == ["100000_00002", "100000_0001"]


def test_studies_of_panorama_belong_to_its_patients(tmp_path):
    root = nnunet(tmp_path, "100000_00001", "100000_00002", "100001_00001")
    assert [c.patient for c in read_dataset(root).cases] == ["100000", "100000", "100001"]


def test_a_table_names_the_patients(tmp_path):
    root, table = nnunet(tmp_path, "a", "b"), tmp_path / "patients.csv"
    table.write_text("case,patient\na,p\nb,p\nc,q\n")
    assert [c.patient for c in read_dataset(root, patients=table).cases] == ["p", "p"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case\na", "has no column patient"),
        ("case,patient\na,p", "has no patient of 'b'"),
        ("case,patient\nc,p", "has no patient of 'a' and of 1 more"),
        ("case,patient\na,p\na,q", "two rows about 'a' differ"),
    ],
)
def test_a_table_that_does_not_name_every_patient_is_refused(tmp_path, text, message):
    root, table = nnunet(tmp_path, "a", "b"), tmp_path / "patients.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        read_dataset(root, patients=table)
    assert refusal.value.path == table


def test_patients_are_the_cases_unless_a_pattern_says_otherwise(tmp_path):
    root = nnunet(tmp_path, "100000_1", "100000_2")
    assert [c.patient for c in read_dataset(root).cases] == ["100000_1", "100000_2"]
    named = read_dataset(root, patient_pattern=r"(\d+)_\d+")
    assert [c.patient for c in named.cases] == ["100000", "100000"]
    for pattern in (r"(x+)_\d+", r"\d+_\d+"):
        with pytest.raises(InputError, match="finds no group in the case id '100000_1'"):
            read_dataset(root, patient_pattern=pattern)


def test_two_channels_are_ordered_and_an_incomplete_case_is_skipped(tmp_path):
    root = nnunet(tmp_path, "a", "b", channel_names={"1": "venous", "0": "arterial"})
    (root / "imagesTr" / "a_0001.nii.gz").touch()
    dataset = read_dataset(root)
    assert dataset.channels == ("arterial", "venous")
    assert [p.name for p in dataset.cases[0].images] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert reasons(dataset) == {"b_0000.nii.gz": "image channel 0001 is missing"}


def test_everything_left_out_has_its_reason(tmp_path):
    root = nnunet(tmp_path, "a", "b")
    (root / "labelsTr" / "b.nii.gz").unlink()
    for name in ("imagesTr/._a_0000.nii.gz", "imagesTr/readme.txt", "labelsTr/c.nii.gz"):
        (root / name).touch()
    assert reasons(read_dataset(root)) == {
        "._a_0000.nii.gz": "hidden or macOS shadow file",
        "readme.txt": "not named CASE_0000.nii.gz",
        "b_0000.nii.gz": "label b.nii.gz is missing",
        "c.nii.gz": "label without an image",
    }


def test_the_dataset_key_replaces_the_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("CT_FOLDER", str(tmp_path / "elsewhere"))
    listed = {"a": {"images": ["$CT_FOLDER/ct.nii.gz"], "label": "truth/a.nii.gz"}}
    description = {**NNUNET, "dataset": listed}
    root = make(tmp_path / "root", description, ["truth/a.nii.gz", "imagesTr/z_0000.nii.gz"])
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "ct.nii.gz").touch()
    (case,) = read_dataset(root).cases
    assert case.images == (tmp_path / "elsewhere" / "ct.nii.gz",)
    assert case.label == root / "truth" / "a.nii.gz"


def test_splits_lose_only_the_cases_that_were_skipped(tmp_path, monkeypatch):
    root = nnunet(tmp_path / "raw" / "Dataset007_P", "a", "b", "c")
    (root / "labelsTr" / "c.nii.gz").unlink()
    folds = json.dumps([{"train": ["b", "c"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}])
    (root / "splits_final.json").write_text(folds)
    expected = (Fold(("b",), ("a",)), Fold(("a",), ("b",)))
    assert read_dataset(root).splits == expected
    beside = tmp_path / "preprocessed" / "Dataset007_P" / "splits_final.json"
    beside.parent.mkdir(parents=True)
    (root / "splits_final.json").rename(beside)
    assert read_dataset(root).splits == ()
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    assert read_dataset(root).splits == expected


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        ({"train": ["a"], "val": ["z"]}, r"fold 0 names unknown cases \['z'\]"),
        ({"train": ["a", "b"], "val": ["a"]}, r"fold 0 has \['a'\] on both sides"),
        ({"train": ["a"]}, 'must have "train" and "val"'),
        ({"train": [["a"]], "val": ["b"]}, "fold 0 names unknown cases"),
    ],
)
def test_splits_that_cannot_be_meant_are_refused(tmp_path, fold, message):
    root = nnunet(tmp_path, "a", "b")
    (root / "splits_final.json").write_text(json.dumps([fold]))
    with pytest.raises(InputError, match=message):
        read_dataset(root)


def test_splits_are_a_list(tmp_path):
    root = nnunet(tmp_path, "a")
    (root / "splits_final.json").write_text("3")
    with pytest.raises(InputError, match="expected a list of folds"):
        read_dataset(root)


def test_msd_lists_its_cases_and_names_labels_the_other_way_round(tmp_path):
    files = [f"{f}/pancreas_{n}.nii.gz" for n in ("001", "004") for f in ("imagesTr", "labelsTr")]
    shadows = ["imagesTr/._pancreas_001.nii.gz", "imagesTr/pancreas_009.nii.gz"]
    dataset = read_dataset(make(tmp_path, MSD, files + shadows))
    assert [c.id for c in dataset.cases] == ["pancreas_001", "pancreas_004"]
    assert dataset.label_ids == {"background": 0, "pancreas": 1, "cancer": 2}
    assert dataset.cases[0].images[0].is_file()
    assert reasons(dataset) == {
        "._pancreas_001.nii.gz": "macOS shadow file",
        "pancreas_009.nii.gz": "not listed in dataset.json",
    }


def test_msd_entries_without_files_or_listed_twice_are_skipped(tmp_path):
    description = {**MSD, "training": [MSD["training"][1], *MSD["training"]]}
    files = ["imagesTr/pancreas_001.nii.gz", "labelsTr/pancreas_001.nii.gz"]
    dataset = read_dataset(make(tmp_path, description, files))
    assert [c.id for c in dataset.cases] == ["pancreas_001"]
    assert sorted(reasons(dataset).values()) == [
        "listed in dataset.json, but missing",
        "listed twice in dataset.json",
    ]


def test_nnunet_v1_adds_the_channel_to_the_listed_names(tmp_path):
    description = {**MSD, "modality": {"0": "arterial", "1": "venous"}}
    description["training"] = MSD["training"][:1]
    files = [f"imagesTr/pancreas_004_{c}.nii.gz" for c in ("0000", "0001")]
    (case,) = read_dataset(
        make(tmp_path, description, [*files, "labelsTr/pancreas_004.nii.gz"])
    ).cases
    assert case.id == "pancreas_004"
    assert case.images == tuple(tmp_path / f for f in files)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": {"background": 0, "organ": [1, 2]}}, r"labels \['organ'\] are regions"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "two labels share an id"),
        ({"labels": {"background": "zero"}}, "must map names to ids; got"),
        ({"labels": {"background": 0, "a": 1.5}}, "must map names to ids; got"),
        ({"labels": {"background": 0, "a": -1}}, r"label ids \[-1\] are not in 0 to 32767"),
        ({"labels": {"background": 0, "a": 2**31}}, r"label ids \[2147483648\] are not in"),
        ({"labels": []}, '"labels" must map names to ids'),
        ({"channel_names": {"0": "CT", "2": "CT"}}, "channel_names"),
        ({"channel_names": "CT"}, "channel_names"),
        ({"file_ending": ".tif"}, "'.tif'; supported are"),
        ({"dataset": {"a": {"images": ["x.nii.gz"]}}}, '"dataset" must be like'),
        ({"dataset": ["a"]}, '"dataset" must be like'),
    ],
)
def test_descriptions_that_cannot_be_used_are_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read_dataset(nnunet(tmp_path, "a", **changes))


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ([{"image": "imagesTr/a.nii.gz"}], '"training" must list'),
        ([{"image": "imagesTr/a.tif", "label": "labelsTr/a.tif"}], "a.tif is no volume"),
    ],
)
def test_msd_entries_that_cannot_be_used_are_refused(tmp_path, training, message):
    with pytest.raises(InputError, match=message):
        read_dataset(make(tmp_path, {**MSD, "training": training}, []))


def test_a_folder_that_is_no_data_set_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(InputError, match="expected one of nnU-Net, MSD, PANORAMA"):
        read_dataset(tmp_path)
    nnunet(tmp_path / "Dataset007_P", "a")
    with pytest.raises(InputError, match="did you mean Dataset007_P in it"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object"),
        ('{"labels": {}}', re.escape('neither "file_ending" (nnU-Net) nor "training" (MSD)')),
    ],
)
def test_a_damaged_dataset_json_is_named(tmp_path, text, message):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=message):
        read_dataset(tmp_path)


def test_a_data_set_without_a_usable_case_says_why(tmp_path):
    with pytest.raises(InputError, match="no usable case; it has no images"):
        read_dataset(make(tmp_path, NNUNET, []))
    with pytest.raises(InputError, match=r"a_0000\.nii\.gz: label a\.nii\.gz is missing"):
        read_dataset(make(tmp_path, NNUNET, ["imagesTr/a_0000.nii.gz"]))


def test_a_missing_json_is_named(tmp_path):
    from core.json_io import read_json

    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "dataset.json")


MAC, TYPED = "Jose\u0301", "Jos\u00e9"


@pytest.mark.parametrize(("image", "label"), [(MAC, TYPED), (TYPED, MAC), (MAC, MAC)])
def test_names_from_a_mac_and_typed_ones_are_one_name(tmp_path, image, label):
    files = [f"imagesTr/{image}_0000.nii.gz", f"labelsTr/{label}.nii.gz"]
    nnunet(tmp_path, "b")
    root = make(tmp_path, NNUNET, files)
    (root / "splits_final.json").write_text(json.dumps([{"train": [label], "val": ["b"]}]))
    table = tmp_path / "patients.csv"
    table.write_text(f"case,patient\n{label},{image}\nb,q\n", encoding="utf-8")
    dataset = read_dataset(root, patients=table)
    assert [(c.id, c.patient) for c in dataset.cases] == [(TYPED, TYPED), ("b", "q")]
    assert dataset.cases[0].label.is_file()
    assert dataset.splits == (Fold((TYPED,), ("b",)),)
    assert dataset.skipped == ()


def test_two_files_of_one_name_in_two_forms_are_not_both_used(tmp_path):
    dataset = read_dataset(nnunet(tmp_path, TYPED, MAC))
    assert [c.id for c in dataset.cases] == [TYPED]
    assert [s.is_broken for s in dataset.skipped] == [True, True]


@pytest.mark.parametrize("listed", [MAC, TYPED])
def test_listed_files_are_found_in_whichever_form_the_disk_has_them(tmp_path, listed):
    files = [f"{folder}/{MAC}.nii.gz" for folder in ("imagesTr", "labelsTr")]
    training = [{"image": f"imagesTr/{listed}.nii.gz", "label": f"labelsTr/{listed}.nii.gz"}]
    dataset = read_dataset(make(tmp_path / "msd", {**MSD, "training": training}, files))
    assert ([c.id for c in dataset.cases], dataset.skipped) == ([TYPED], ())
    cases = {listed: {"images": [files[0].replace(MAC, listed)], "label": files[1]}}
    (case,) = read_dataset(make(tmp_path / "v2", {**NNUNET, "dataset": cases}, files)).cases
    assert (case.id, case.images[0].is_file()) == (TYPED, True)
    with pytest.raises(InputError, match="two cases are called"):
        read_dataset(
            make(
                tmp_path / "w",
                {**NNUNET, "dataset": dict.fromkeys((MAC, TYPED), cases[listed])},
                files,
            )
        )


def test_scans_of_one_file_name_in_several_folders_are_several_cases(tmp_path):
    names = ["s0001", "s0002"]
    training = [{"image": f"./{n}/ct.nii.gz", "label": f"./{n}/label.nii.gz"} for n in names]
    files = [path[2:] for entry in training for path in entry.values()]
    description = {**MSD, "training": [*training, training[0]]}
    dataset = read_dataset(make(tmp_path, description, files))
    assert [(c.id, c.label) for c in dataset.cases] == [
        ("s0001_ct", tmp_path / "s0001/label.nii.gz"),
        ("s0002_ct", tmp_path / "s0002/label.nii.gz"),
    ]
    assert [s.reason for s in dataset.skipped] == ["listed twice in dataset.json"]


def test_folds_are_used_in_every_layout(tmp_path):
    files = [f"{f}/pancreas_{n}.nii.gz" for n in ("001", "004") for f in ("imagesTr", "labelsTr")]
    root = make(tmp_path, MSD, files)
    folds = [{"train": ["pancreas_001"], "val": ["pancreas_004"]}]
    (root / "splits_final.json").write_text(json.dumps(folds))
    assert read_dataset(root).splits == (Fold(("pancreas_001",), ("pancreas_004",)),)
