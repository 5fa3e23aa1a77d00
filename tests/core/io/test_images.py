import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from core.errors import InputError
from core.io.dicom.warnings import quiet
from core.io.images import find_images, read_frames, source_of
from tests.core.io.dicom.make import save, slices
from tests.refusals import refused

GRAY = np.random.default_rng(0).integers(0, 256, (6, 9), np.uint8)


def picture(path, array=GRAY, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def ultrasound(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        shutil.copy(Path(get_testdata_file("examples_ybr_color.dcm", download=False)), path)
    return path


def reasons(skipped):
    return {s.path.name: s.reason for s in skipped}


def test_one_file_is_one_source(tmp_path):
    (source,), skipped = find_images(picture(tmp_path / "a.png"))
    assert (source.id, source.kind, source.num_frames, source.is_clip) == ("a", "image", 1, False)
    assert skipped == []
    (frame,) = read_frames(source)
    np.testing.assert_array_equal(frame.array, GRAY)


def test_names_sort_as_people_count(tmp_path):
    names = ["a (10)", "a (2)", "a (1)", "é 3", "é 20", "b", "B"]
    for name in names:
        picture(tmp_path / f"{name}.png")
    sources, _ = find_images(tmp_path)
    assert [s.path.stem for s in sources] == ["B", "a (1)", "a (2)", "a (10)", "b", "é 3", "é 20"]
    assert [s.id for s in sources] == ["B", "a_1", "a_2", "a_10", "b", "é_3", "é_20"]


def test_ids_are_unique(tmp_path):
    for name in ("x/a.png", "x/a.bmp", "x_a.png", "x a.png", "---.png"):
        picture(tmp_path / name)
    ids = [s.id for s in find_images(tmp_path)[0]]
    assert len(set(ids)) == 5
    assert {"x_a", "x_a-2", "x_a-3", "x_a-4"} <= set(ids)


def test_dicom_is_known_by_content_and_a_clip_by_its_frames(tmp_path):
    ultrasound(tmp_path / "study" / "IM0001")
    pages = [Image.fromarray(GRAY)] * 3
    pages[0].save(tmp_path / "stack.tif", save_all=True, append_images=pages[1:])
    sources, _ = find_images(tmp_path)
    told = {s.id: (s.kind, s.num_frames, s.is_clip) for s in sources}
    assert told == {"stack": ("image", 3, True), "study_IM0001": ("dicom", 30, True)}
    assert [len(list(read_frames(s))) for s in sources] == [3, 30]


def test_everything_else_is_left_out_with_its_reason(tmp_path):
    picture(tmp_path / "a.png")
    for name in (".hidden.png", "._a.png", ".DS_Store"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty.png").touch()
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "pointer").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    save(tmp_path / "ct", slices()[:1])
    sources, skipped = find_images(tmp_path)
    assert [s.id for s in sources] == ["a"]
    told = reasons(skipped)
    hidden = "hidden or macOS shadow file"
    assert {told.pop(n) for n in (".hidden.png", "._a.png", ".DS_Store")} == {hidden}
    assert told.pop("cut.png").startswith(("not a picture", "the picture is truncated"))
    assert told == {
        "I000": "CT Image Storage, not a picture of a display",
        "empty.png": "the file is empty; fetch or copy it again",
        "notes.txt": "neither an image, nor DICOM, nor a video",
        "pointer": "this is a Git LFS pointer, not the image; run `git lfs pull`",
    }
    # Their names promise a picture; the others do no harm.
    assert {s.path.name for s in skipped if s.is_broken} == {"cut.png", "empty.png"}


def test_a_dicom_file_that_was_not_fetched_is_broken(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.dcm").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    _, (skipped,) = find_images(tmp_path)
    assert skipped.is_broken
    assert "Git LFS pointer" in skipped.reason


def test_masks_beside_their_images_are_not_worked_on(tmp_path):
    for name in ("b/a (1).png", "b/a (1)_mask.png", "b/a (1)_mask_1.png", "b/lone_mask.png"):
        picture(tmp_path / name)
    for name in ("images/c.png", "masks/c.png"):
        picture(tmp_path / "set" / name)
    sources, skipped = find_images(tmp_path)
    assert [s.id for s in sources] == ["b_a_1", "b_lone_mask", "set_images_c"]
    assert set(reasons(skipped).values()) == {"a mask, by its name and place"}
    assert len(skipped) == 3


def test_a_mask_that_is_asked_for_is_read(tmp_path):
    picture(tmp_path / "a.png")
    (source,), _ = find_images(picture(tmp_path / "a_mask.png"))
    assert source.id == "a_mask"


def test_nothing_usable_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        find_images(tmp_path / "absent")
    (tmp_path / "folder").mkdir()
    with refused(tmp_path / "folder", "empty"):
        find_images(tmp_path / "folder")
    note = tmp_path / "folder" / "a.txt"
    note.write_text("x")
    with refused(note, "DICOM", "video"):
        find_images(note)
    message = r"no image, DICOM or video: a\.txt: neither an image"
    with pytest.raises(InputError, match=message):
        find_images(tmp_path / "folder")


def test_a_source_of_one_path_says_why_not(tmp_path):
    ct = next(save(tmp_path / "ct", slices()[:1]).iterdir())
    with refused(ct, "CT Image Storage"):
        source_of(ct)
    assert source_of(ultrasound(tmp_path / "us.dcm")).num_frames == 30


def test_real_breast_ultrasound_is_found_without_its_masks(shared_data):
    sources, skipped = find_images(shared_data / "busi")
    assert len(sources) == len(skipped) == 586
    assert {s.path.parent.name for s in skipped} == {"masks"}
    assert next(read_frames(sources[0])).array.ndim == 2
