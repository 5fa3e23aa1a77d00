from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.datasets.images import read_case, read_images
from core.errors import InputError
from core.io import remarks
from tests.refusals import refused

GRAY = np.random.default_rng(0).integers(0, 256, (6, 9), np.uint8)
MARK = np.zeros((6, 9), np.uint8)
MARK[2:4, 3:5] = 255


def folder(root, *names):
    """Files below a root: masks where the name or the folder says so, images elsewhere."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_mask = "mask" in name.lower()
        Image.fromarray(MARK if is_mask else GRAY).save(path)
    return root


def reasons(dataset):
    return {s.path.name: s.reason for s in dataset.skipped}


def test_images_and_masks_pair_by_name(tmp_path):
    names = ["images/b 10.png", "images/b 2.jpg", "masks/b 10.png", "masks/b 2.png"]
    dataset = read_images(folder(tmp_path / "Set", *names))
    assert (dataset.name, dataset.layout) == ("Set", "images and masks")
    assert [c.id for c in dataset.cases] == ["b_2", "b_10"]
    assert [c.patient for c in dataset.cases] == ["b_2", "b_10"]
    assert not dataset.knows_patients
    case = dataset.cases[0]
    assert case.image == tmp_path / "Set" / "images" / "b 2.jpg"
    assert case.masks == (tmp_path / "Set" / "masks" / "b 2.png",)
    assert (case.category, case.stage, case.location) == (None,) * 3


def test_folders_of_a_split_are_no_classes_and_ids_stay_unique(tmp_path):
    names = [
        f"{part}/{kind}/a.png" for part in ("train", "val", "test") for kind in ("images", "masks")
    ]
    dataset = read_images(folder(tmp_path, *names))
    assert {c.id for c in dataset.cases} == {"test_images_a", "train_images_a", "val_images_a"}
    assert {c.category for c in dataset.cases} == {None}


def test_several_masks_of_an_image_belong_together(tmp_path):
    names = ["images/a.png", "masks/a_mask.png", "masks/a_mask_2.png"]
    dataset = read_images(folder(tmp_path, *names))
    assert [m.name for m in dataset.cases[0].masks] == ["a_mask.png", "a_mask_2.png"]
    Image.fromarray(np.roll(MARK, 4, axis=1)).save(tmp_path / "masks" / "a_mask_2.png")
    frame, mask = read_case(dataset.cases[0])
    np.testing.assert_array_equal(frame.array, GRAY)
    np.testing.assert_array_equal(mask, (MARK > 0) | np.roll(MARK > 0, 4, axis=1))


def test_what_has_no_partner_is_left_out_with_its_reason(tmp_path):
    root = folder(tmp_path, "images/a.png", "images/b.png", "masks/a.png", "masks/c.png", "d.png")
    (root / "images" / "notes.txt").write_text("x")
    (root / "images" / ".b.png").touch()
    dataset = read_images(root)
    assert [c.id for c in dataset.cases] == ["a"]
    assert reasons(dataset) == {
        ".b.png": "hidden or macOS shadow file",
        "b.png": "no mask of its name",
        "c.png": "mask without an image",
        "d.png": "neither among the images nor among the masks",
        "notes.txt": "no image by its ending '.txt'",
    }


def test_busi_pairs_by_suffix_within_its_classes(tmp_path):
    names = ["benign/benign (1).png", "benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png"]
    names += ["benign/benign (2).png", "benign/benign (2)_mask.png"]
    names += ["benign/benign (10).png", "benign/benign (10)_mask.png"]
    names += ["normal/normal (1).png", "normal/normal (1)_mask.png"]
    names += ["malignant/malignant (1).png", "malignant/malignant (3)_mask.png"]
    dataset = read_images(folder(tmp_path, *names))
    assert dataset.layout == "masks beside images"
    ids = ["benign_1", "benign_2", "benign_10", "normal_1"]
    assert [c.id for c in dataset.cases] == ids
    assert [c.category for c in dataset.cases] == ["benign"] * 3 + ["normal"]
    assert len(dataset.cases[0].masks) == 2
    assert reasons(dataset) == {
        "malignant (1).png": "no mask",
        "malignant (3)_mask.png": "mask without an image",
    }


def test_exams_with_classes_know_patient_and_truth(tmp_path):
    names = [
        "train/exam1/Tumor/a.png",
        "train/exam1/Adenocarcinome/a.png",
        "train/exam1/Tumor/b.png",
        "train/exam1/To discard/c.png",
        "train/exam1/Tumor mask/a.png",
        "train/exam1/Tumor mask/c.png",
        "train/exam1/Tumor mask/z.png",
        "test/exam2/Hors pancreas/a.png",
        "test/exam2/Other/d.png",
    ]
    dataset = read_images(folder(tmp_path, *names))
    assert (dataset.layout, dataset.knows_patients) == ("exams with classes", True)
    told = [(c.patient, c.category, len(c.masks)) for c in dataset.cases]
    assert told == [
        ("test/exam2", "Hors pancreas", 0),
        ("train/exam1", "Adenocarcinome", 1),
    ]
    assert not read_case(dataset.cases[0])[1].any()
    left = {s.path.relative_to(tmp_path).as_posix(): s.reason for s in dataset.skipped}
    classes = "tumor, difficile, adenocarcinome, tumeur endocrine, hors pancreas, to discard"
    assert left == {
        "test/exam2/Other/d.png": f"in no class of {classes}, tumor mask",
        "train/exam1/To discard/c.png": "of the class to discard",
        "train/exam1/Tumor/a.png": "also in class Adenocarcinome",
        "train/exam1/Tumor/b.png": "of a class of tumors, without a mask",
        "train/exam1/Tumor mask/z.png": "mask without an image",
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_tells_patient_stage_and_location(tmp_path, delimiter):
    names = [f"{kind}/{name}.png" for kind in ("images", "masks") for name in "abcd"]
    root = folder(tmp_path, *names)
    rows = ["Image,Patient,Stage,Location,Age", "a.png,p1,T2,head,60", "b,p1,,,", ",,,,"]
    rows += ["images/c.png,p2,T1,tail,", "x.png,p9,T1,head,"]
    table = root / "table.csv"
    table.write_text("\n".join(rows).replace(",", delimiter), encoding="utf-8-sig")
    dataset = read_images(root)
    told = {c.id: (c.patient, c.stage, c.location) for c in dataset.cases}
    assert told == {
        "a": ("p1", "T2", "head"),
        "b": ("p1", None, None),
        "c": ("p2", "T1", "tail"),
        "d": ("d", None, None),
    }
    assert not dataset.knows_patients  # of one image it is not told
    assert reasons(dataset) == {"x.png": "in the table, but no usable image"}
    with table.open("a", encoding="utf-8") as file:
        file.write(f"\nd{delimiter}p3\n")
    assert read_images(root).knows_patients


def test_a_table_without_images_in_it_is_another_file(tmp_path):
    root = folder(tmp_path, "images/a.png", "masks/a.png")
    (root / "notes.csv").write_text("name,value\n")
    (root / "empty.csv").touch()
    dataset = read_images(root)
    assert set(reasons(dataset)) == {"notes.csv", "empty.csv"}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,p1\na,p2", "two rows about 'a' differ; keep one"),
        ("c,p1", "'c' fits 2 images; write the path of the file"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(tmp_path, rows, message):
    names = [
        f"{part}/{kind}/{name}.png"
        for kind in ("images", "masks")
        for part, name in (("train", "a"), ("train", "c"), ("test", "c"))
    ]
    root = folder(tmp_path, *names)
    (root / "t.csv").write_text(f"image,patient\n{rows}\n")
    with pytest.raises(InputError, match=message):
        read_images(root)


def test_two_tables_and_another_encoding_are_refused(tmp_path):
    root = folder(tmp_path, "images/a.png", "masks/a.png")
    (root / "t.csv").write_bytes("image,patient\na,José".encode("latin-1"))
    with refused(root / "t.csv", "UTF-8", hint="UTF-8"):
        read_images(root)
    for name in ("t.csv", "u.csv"):
        (root / name).write_text("image,patient\n")
    with refused(root, "several tables", "t.csv", "u.csv", hint="keep one"):
        read_images(root)


def test_a_pattern_finds_the_patient_in_the_name(tmp_path):
    names = [f"{kind}/p{p}_{n}.png" for kind in ("images", "masks") for p in (1, 2) for n in (1, 2)]
    dataset = read_images(folder(tmp_path, *names), patient_pattern=r"(p\d+)_\d+")
    assert [c.patient for c in dataset.cases] == ["p1", "p1", "p2", "p2"]
    assert dataset.knows_patients
    with refused(None, "'x'", "'p1_1'", hint="write"):
        read_images(tmp_path, patient_pattern="x")


def test_unknown_layouts_are_refused_with_what_was_expected(tmp_path):
    with refused(tmp_path / "absent", "no such folder"):
        read_images(tmp_path / "absent")
    with refused(tmp_path / "plain", "masks", hint="images/ and masks/"):
        read_images(folder(tmp_path / "plain", "a.png", "b.png"))
    with refused(tmp_path / "strange", "a.png: no mask"):
        read_images(folder(tmp_path / "strange", "images/a.png", "masks/b.png"))


def test_a_clip_cannot_share_one_mask(tmp_path):
    root = folder(tmp_path, "images/a.tif", "masks/a.png")
    pages = [Image.fromarray(GRAY)] * 2
    pages[0].save(root / "images" / "a.tif", save_all=True, append_images=pages[1:])
    with refused(root / "images" / "a.tif", "several frames"):
        read_case(read_images(root).cases[0])


def test_real_breast_ultrasound_is_complete(shared_data):
    dataset = read_images(shared_data / "busi")
    assert (len(dataset.cases), dataset.skipped, dataset.knows_patients) == (586, (), False)
    classes = [c.category for c in dataset.cases]
    assert {name: classes.count(name) for name in set(classes)} == {
        "benign": 328,
        "malignant": 158,
        "normal": 100,
    }
    for case in dataset.cases[::25]:
        frame, mask = read_case(case)
        assert frame.shape == mask.shape
        assert max(frame.shape) == 320
        assert mask.any() == (case.category != "normal")


def test_a_table_of_patients_may_lie_elsewhere(tmp_path):
    data = folder(tmp_path / "set", "images/a.png", "masks/a.png", "images/b.png", "masks/b.png")
    table = tmp_path / "patients.csv"
    table.write_text("image,patient\nimages/a.png,p\nb,p\n")
    dataset = read_images(data, patients=table)
    assert [c.patient for c in dataset.cases] == ["p", "p"]
    assert dataset.knows_patients


UPRIGHT = {
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    6: lambda a: np.rot90(a, -1),
    8: lambda a: np.rot90(a, 1),
}


def turned_pair(root, orientation, mask, *, of_mask=None):
    """An image that EXIF turns, and a mask that lies as it is given."""
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(GRAY).save(root / "images" / "a.png", exif=exif)
    if of_mask is not None:
        exif[0x0112] = of_mask
    path = root / "masks" / "a.png"
    Image.fromarray(mask).save(path, **({} if of_mask is None else {"exif": exif}))
    with remarks.kept() as lines:
        frame, marked = read_case(read_images(root).cases[0])
    return frame, marked, [line.removeprefix(f"{path}: ") for line in lines]


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_mask_is_turned_as_its_image(tmp_path, orientation):
    turn = UPRIGHT[orientation]
    frame, marked, told = turned_pair(tmp_path / "a", orientation, MARK)
    np.testing.assert_array_equal(frame.array, turn(GRAY))
    np.testing.assert_array_equal(marked, turn(MARK > 0))
    assert told == [f"has no EXIF orientation; turned by {orientation}, as its image"]
    _, marked, told = turned_pair(tmp_path / "b", orientation, MARK, of_mask=orientation)
    np.testing.assert_array_equal(marked, turn(MARK > 0))
    assert told == []


def test_a_mask_of_the_size_of_the_upright_image_is_upright(tmp_path):
    _, marked, told = turned_pair(tmp_path, 6, np.rot90(MARK, -1).copy())
    np.testing.assert_array_equal(marked, np.rot90(MARK > 0, -1))
    assert told == ["has no EXIF orientation, and the size of its image turned by 6"]


def test_a_mask_that_is_turned_otherwise_than_its_image_is_told(tmp_path):
    _, marked, told = turned_pair(tmp_path, 1, MARK, of_mask=3)
    np.testing.assert_array_equal(marked, np.rot90(MARK > 0, 2))
    assert told == ["turned by its EXIF orientation 3; its image has 1"]


# In each the lesion is 5.0 % of the picture; these are refused without its value.
VALUES = {"inverted": "0", "tri128": "255", "voc3": "2", "overlay_as_mask": "#ff0000"}


@pytest.mark.parametrize(
    "name", ["alpha_black", "red128_jpg", "exif180", *VALUES], ids=lambda name: name
)
def test_masks_of_the_field_mark_five_percent(shared_data, name):
    (case,) = read_images(shared_data / "field_cases" / "masks_read_wrong" / name).cases
    if name in VALUES:
        with pytest.raises(InputError) as refusal:
            read_case(case)
        assert "--prepare.lesion-value" in refusal.value.hint
    frame, marked = read_case(replace(case, lesion_value=VALUES.get(name)))
    assert marked.mean() == pytest.approx(0.05, abs=5e-4)
    # The lesion is darker than what surrounds it, which only holds where both lie alike.
    assert frame.gray()[marked].mean() < frame.gray()[~marked].mean() - 20
