"""Are the pixels of a picture what its header says of them?"""

import logging
from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless

from core.io import remarks
from core.io.dicom.jpeg_colors import colors_of
from core.io.dicom.picture import read_pictures
from tests.core.io.dicom.pictures import changed, compressed, jpeg, smooth

GRAY = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
COLOR = smooth()
MARKS = {
    "jfif": jpeg(COLOR),
    "numbered": jpeg(COLOR, markers=False),
    "named": jpeg(COLOR, rgb=True, markers=False),
    "adobe": jpeg(COLOR, rgb=True, ids=b"\1\2\3"),
    "adobe, other ids": jpeg(COLOR, rgb=True, ids=b"\0\1\2"),
}


def read(path):
    """Pictures of a file, and what was remarked on it."""
    with remarks.kept() as lines:
        frames = [frame.array for frame in read_pictures(path)]
    assert all(line.startswith(f"{path}: ") for line in lines)
    return frames, [line.removeprefix(f"{path}: ") for line in lines]


def deep(values, **changes):
    """Elements of gray pictures with 16 bits for each value."""
    whole = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
    return {**whole, **changes, "PixelData": np.asarray(values, "<u2").tobytes()}


@pytest.mark.parametrize("tag", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("marks", MARKS)
def test_a_jpeg_has_the_colors_that_it_says_whatever_the_tag(tmp_path, marks, tag):
    path = compressed(
        tmp_path / "a.dcm", [COLOR] * 2, [MARKS[marks]] * 2, PhotometricInterpretation=tag
    )
    frames, told = read(path)
    for frame in frames:  # lossy, by a few gray levels
        assert np.abs(frame.astype(int) - COLOR).mean() < 4
    held = "YCbCr" if marks in ("jfif", "numbered") else "RGB"
    is_wrong = (held == "RGB") != (tag == "RGB")
    assert told == [f"tagged {tag}, and its JPEG is {held}; read as the JPEG says"] * is_wrong


def test_a_jpeg_ls_tells_no_colors_whatever_marks_stand_before_it():
    # The frame header of a JPEG-LS, with components that a JPEG would be told by.
    frame = b"\xff\xf7\x00\x11\x08\x00\x30\x00\x40\x03" + b"R\x11\x00G\x11\x00B\x11\x00"
    for mark in (b"\xff\xe0\x00\x07JFIF\x00", b""):
        assert colors_of(b"\xff\xd8" + mark + frame + b"\xff\xd9") is None


@pytest.mark.parametrize("tag", ["RGB", "YBR_FULL"])
def test_components_of_other_numbers_are_what_the_tag_says(tmp_path, tag):
    stream = jpeg(COLOR, rgb=tag == "RGB", ids=b"\0\1\2", markers=False)
    path = compressed(tmp_path / "a.dcm", [COLOR], [stream], PhotometricInterpretation=tag)
    (frame,), told = read(path)
    assert np.abs(frame.astype(int) - COLOR).mean() < 4
    assert told == []


@pytest.mark.parametrize("tag", ["YBR_FULL", "YBR_RCT", "RGB"])
def test_a_jpeg_2000_that_mixes_its_colors_is_rgb(tmp_path, tag):
    file = BytesIO()
    Image.fromarray(COLOR).save(file, "JPEG2000", no_jp2=True, mct=1)
    tags = {"PhotometricInterpretation": tag}
    path = compressed(
        tmp_path / "a.dcm", [COLOR], [file.getvalue()], syntax=JPEG2000Lossless, **tags
    )
    (frame,), told = read(path)
    np.testing.assert_array_equal(frame, COLOR)
    expected = ["tagged YBR_FULL, and its JPEG is RGB; read as the JPEG says"]
    assert told == expected * (tag == "YBR_FULL")


def test_an_uncompressed_picture_is_what_its_tag_says(tmp_path):
    (frame,), told = read(changed(tmp_path / "a.dcm", [COLOR]))
    np.testing.assert_array_equal(frame, COLOR)
    assert told == []


def palette(bits, *, dtype="<u2"):
    """Elements of a palette that shows v as the gray 255 - v."""
    table = (255 - np.arange(256)) << (8 if bits == 16 else 0)
    found = {"PhotometricInterpretation": "PALETTE COLOR", "PixelData": GRAY.tobytes()}
    for color in ("Red", "Green", "Blue"):
        found[f"{color}PaletteColorLookupTableDescriptor"] = [256, 0, 8 if dtype == "u1" else 16]
        found[f"{color}PaletteColorLookupTableData"] = table.astype(dtype).tobytes()
    return found


@pytest.mark.parametrize(
    ("bits", "dtype", "told"),
    [
        (16, "<u2", []),
        (8, "u1", []),
        (8, "<u2", ["its palette is stored with 16 bits, of which 8 are used"]),
    ],
)
def test_a_palette_of_any_depth_gives_its_colors(tmp_path, bits, dtype, told):
    path = changed(tmp_path / "a.dcm", [GRAY], **palette(bits, dtype=dtype))
    (frame,), found = read(path)
    np.testing.assert_array_equal(frame, np.stack([255 - GRAY] * 3, axis=-1))
    assert found == told


def test_a_palette_in_big_endian_words_gives_its_colors(tmp_path):
    path = changed(tmp_path / "a.dcm", [GRAY], **palette(16, dtype=">u2"))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    pydicom.dcmwrite(path, data, implicit_vr=False, little_endian=False, force_encoding=True)
    (frame,), told = read(path)
    np.testing.assert_array_equal(frame, np.stack([255 - GRAY] * 3, axis=-1))
    assert told == []


def test_a_palette_that_does_not_begin_at_0_is_looked_up_from_its_first_value(tmp_path):
    elements = palette(16)
    for color in ("Red", "Green", "Blue"):
        elements[f"{color}PaletteColorLookupTableDescriptor"] = [256, 10, 16]
    (frame,), _ = read(changed(tmp_path / "a.dcm", [GRAY], **elements))
    expected = 255 - np.clip(GRAY.astype(int) - 10, 0, 255)
    np.testing.assert_array_equal(frame[..., 1], expected)


@pytest.mark.parametrize(("stored", "used"), [(16, 8), (12, 8), (16, 12)])
def test_unused_highest_bits_do_not_make_a_picture_black(tmp_path, stored, used):
    bits = {"BitsStored": stored, "HighBit": stored - 1}
    values = GRAY.astype(np.uint16) << (used - 8)
    values[0, 0] = 2**used - 1
    path = changed(tmp_path / "a.dcm", [GRAY], **deep(values, **bits))
    (frame,), told = read(path)
    np.testing.assert_array_equal(frame, values >> (used - 8))
    assert told == [f"stored with {stored} bits, of which {used} are used; shown by these"]


def test_a_dark_picture_of_a_clip_that_uses_its_bits_stays_dark(tmp_path):
    bright = np.full_like(GRAY, 200).astype(np.uint16) << 8
    path = changed(tmp_path / "a.dcm", [GRAY] * 2, **deep([GRAY, bright]))
    (dark, other), told = read(path)
    assert (dark.max(), other.min(), told) == (0, 200, [])


def test_a_few_unused_bits_are_darkness(tmp_path):
    bits = {"BitsStored": 10, "HighBit": 9}
    (frame,), told = read(changed(tmp_path / "a.dcm", [GRAY], **deep(GRAY, **bits)))
    np.testing.assert_array_equal(frame, GRAY >> 2)
    assert told == []


def test_values_lie_below_the_high_bit(tmp_path):
    bits = {"BitsStored": 12, "HighBit": 15}
    path = changed(tmp_path / "a.dcm", [GRAY], **deep(GRAY.astype(np.uint16) << 8, **bits))
    (frame,), told = read(path)
    np.testing.assert_array_equal(frame, GRAY)
    assert told == []


def test_a_high_bit_that_the_values_do_not_reach_is_not_believed(tmp_path):
    values = (GRAY.astype(np.uint16) << 4) + 1
    bits = {"BitsStored": 12, "HighBit": 15}
    (frame,), told = read(changed(tmp_path / "a.dcm", [GRAY], **deep(values, **bits)))
    np.testing.assert_array_equal(frame, GRAY)
    assert told == ["its values lie lower than its high bit says; read as they lie"]


def test_an_overlay_in_the_bits_above_is_cut_off_and_told(tmp_path):
    values = GRAY.astype(np.uint16) << 4
    values[3] |= 0x8000
    bits = {"BitsStored": 12, "HighBit": 11}
    (frame,), told = read(changed(tmp_path / "a.dcm", [GRAY], **deep(values, **bits)))
    np.testing.assert_array_equal(frame, GRAY)
    assert told == ["bits beside the 12 stored ones are set, as by overlays; cut off"]


def test_an_overlay_does_not_hide_that_highest_bits_are_unused(tmp_path):
    values = GRAY.astype(np.uint16)
    values[3] |= 0x8000
    bits = {"BitsStored": 12, "HighBit": 11}
    (frame,), told = read(changed(tmp_path / "a.dcm", [GRAY], **deep(values, **bits)))
    np.testing.assert_array_equal(frame, GRAY)
    assert "stored with 12 bits, of which 8 are used; shown by these" in told


def test_one_bit_is_black_and_white(tmp_path):
    packed = np.packbits(GRAY.ravel() > 127, bitorder="little").tobytes()
    bits = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0, "PixelData": packed}
    (frame,), _ = read(changed(tmp_path / "a.dcm", [GRAY], **bits))
    np.testing.assert_array_equal(frame, np.where(GRAY > 127, 255, 0))


@pytest.mark.parametrize(("wrong", "right"), [("pal_8in16", "pal"), ("m16_8used", "m8")])
def test_the_field_pictures_that_were_black_are_their_twins(shared_data, wrong, right, caplog):
    caplog.set_level(logging.ERROR)
    folder = shared_data / "field_cases" / "ultrasound_black_picture"
    (first,), _ = read(folder / f"{wrong}.dcm")
    (second,), told = read(folder / f"{right}.dcm")
    np.testing.assert_array_equal(first, second)
    assert first.any()
    assert told == []


def test_the_field_clip_whose_jpeg_is_no_rgb_has_its_colors(shared_data):
    folder = shared_data / "field_cases" / "ultrasound_jpeg_tagged_rgb"
    (first, _), told = read(folder / "clip.dcm")
    expected = np.asarray(Image.open(folder / "reference.png").convert("RGB"), int)
    # The reference was not compressed; YCbCr taken for RGB is 70 away.
    assert np.abs(first.astype(int) - expected).mean() < 4
    assert told == ["tagged RGB, and its JPEG is YCbCr; read as the JPEG says"]
