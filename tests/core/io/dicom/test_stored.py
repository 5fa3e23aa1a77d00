"""Values are the bits that the header names, whatever the decoder hands on."""

import numpy as np
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from core.io.dicom.codestream import Coding, read_coding
from core.io.dicom.pixels import read_hu
from core.io.dicom.stored import Bits, coded, stored_values
from tests.core.io.dicom.look import find, read
from tests.core.io.dicom.make import hu, save, slices
from tests.refusals import refused

SHAPE = (8, 64, 48)  # JPEG 2000 needs a few dozen pixels
VALUES = np.random.default_rng(0).integers(-1000, 1000, SHAPE, np.int16)
SYNTAXES = [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless]
SIGNED, UNSIGNED = Bits(12, 0, is_signed=True), Bits(12, 0, is_signed=False)


def words(datasets, stored, *, syntax=ExplicitVRLittleEndian, **changes):
    """Write words of 16 bits into a series, then say of them what is to be said."""
    for d, word in zip(datasets, stored, strict=True):
        d.PixelData = np.asarray(word).astype(np.uint16).tobytes()
        if syntax != ExplicitVRLittleEndian:
            d.PixelRepresentation = 0
            d.compress(syntax, generate_instance_uid=False)
        for name, value in changes.items():
            setattr(d, name, value)
    return datasets


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_values_may_lie_in_the_high_bits(tmp_path, syntax):
    series = words(
        slices(VALUES),
        (VALUES.astype(int) + 1024) << 4,
        syntax=syntax,
        BitsStored=12,
        HighBit=15,
        PixelRepresentation=0,
    )
    np.testing.assert_array_equal(read(save(tmp_path, series)).array, VALUES)


@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_overlay_in_unused_bits_changes_no_value(tmp_path, syntax, signed, caplog):
    overlay = np.random.default_rng(1).integers(0, 2, SHAPE) << 12
    stored = VALUES.astype(int) + (0 if signed else 1024)
    series = words(
        slices(VALUES),
        (stored & 0xFFF) | overlay,
        syntax=syntax,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=signed,
        RescaleIntercept=0 if signed else -1024,
    )
    for d in series:
        d.add_new((0x6000, 0x0100), "US", 16)
        d.add_new((0x6000, 0x0102), "US", 12)
    np.testing.assert_array_equal(read(save(tmp_path, series)).array, VALUES)
    assert caplog.messages == []


def test_an_overlay_below_the_value_changes_none(tmp_path):
    overlay = np.random.default_rng(1).integers(0, 2, SHAPE)
    stored = ((VALUES.astype(int) + 1024) << 4) | overlay
    series = words(slices(VALUES), stored, BitsStored=12, HighBit=15, PixelRepresentation=0)
    for d in series:
        d.add_new((0x6000, 0x0102), "US", 0)
    np.testing.assert_array_equal(read(save(tmp_path, series)).array, VALUES)


def test_bits_that_nothing_declares_are_left_out_and_told(tmp_path, caplog):
    stored = VALUES.astype(int) + 1024
    stored[3, 5, 7] |= 0x3000
    series = words(slices(VALUES), stored, BitsStored=12, HighBit=11, PixelRepresentation=0)
    np.testing.assert_array_equal(read(save(tmp_path, series)).array, VALUES)
    assert caplog.messages == [
        f"{tmp_path}: bits beyond the 12 stored ones are set in pixels, and left out"
    ]


def test_a_sign_may_or_may_not_fill_the_unused_bits(tmp_path, caplog):
    changes = {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}
    series = words(slices(VALUES), VALUES.astype(int) & 0xFFFF, **changes)
    np.testing.assert_array_equal(read(save(tmp_path / "a", series)).array, VALUES)
    assert caplog.messages == []
    series = words(slices(VALUES), VALUES.astype(int) & 0xFFF, **changes)
    np.testing.assert_array_equal(read(save(tmp_path / "b", series)).array, VALUES)


def test_words_of_another_byte_order_are_the_same(tmp_path):
    stored = ((VALUES.astype(int) & 0xFFF) | 0x1000).astype(">u2").astype(np.uint16)
    series = words(slices(VALUES), stored.byteswap(), BitsStored=12, HighBit=11, RescaleIntercept=0)
    tmp_path.mkdir(exist_ok=True)
    for k, d in enumerate(series):
        d.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        d.save_as(tmp_path / str(k))
    np.testing.assert_array_equal(read(tmp_path).array, VALUES)


def test_low_bits_in_use_below_high_ones_are_refused(tmp_path):
    stored = VALUES.astype(int) + 1024  # the header says bits 4 to 15, and they are 0 to 11
    series = words(slices(VALUES), stored, BitsStored=12, HighBit=15, PixelRepresentation=0)
    (volume,), _ = find(save(tmp_path, series, order=range(8)))
    with refused(tmp_path / "I000", "12 stored bits start at bit 4", hint="export"):
        read_hu(volume)


def test_a_highest_bit_that_cannot_be_is_told(tmp_path, caplog):
    series = slices(HighBit=11)
    np.testing.assert_array_equal(read(save(tmp_path, series)).array, hu())
    assert "its highest bit is 11, too low for 16 stored bits" in caplog.text


@pytest.mark.parametrize("changes", [{"BitsStored": 20}, {"HighBit": 16}])
def test_bits_beyond_the_word_are_skipped(tmp_path, changes):
    reason = "its pixels have bits that its words of 16 bits have not"
    assert find(save(tmp_path, slices(**changes))) == ([], [reason] * 10)


@pytest.mark.parametrize("padding", [-32768, 32768])
def test_padding_beyond_the_stored_bits_is_air(tmp_path, padding, caplog):
    stored = VALUES.astype(int) & 0xFFFF
    stored[:, 0, :4] = 0x8000
    series = words(slices(VALUES), stored, BitsStored=12, HighBit=11, RescaleIntercept=0)
    for d in series:
        d.add_new("PixelPaddingValue", "US" if padding > 0 else "SS", padding)
    array = read(save(tmp_path, series)).array
    assert (array[:, 0, :4] == -1024).all()
    np.testing.assert_array_equal(array[:, 1:], VALUES[:, 1:])
    assert caplog.messages == []


def test_padding_that_unsigned_values_cannot_have_is_air(tmp_path, caplog):
    stored = VALUES.astype(int) + 1024
    stored[:, 0, :4] = 63536  # -2000 of 16 signed bits; as a value it would be 62512 HU
    series = words(slices(VALUES), stored, BitsStored=12, HighBit=11, PixelRepresentation=0)
    for d in series:
        d.add_new("PixelPaddingValue", "US", 63536)
    array = read(save(tmp_path, series)).array
    assert (array[:, 0, :4] == -1024).all()
    np.testing.assert_array_equal(array[:, 1:], VALUES[:, 1:])
    assert caplog.messages == []


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize(("stored", "signed", "says"), [(8, 0, "8 bits"), (12, 1, "12 bits")])
def test_a_jpeg_of_other_bits_than_the_header_is_refused(tmp_path, syntax, stored, signed, says):
    series = slices(VALUES)
    for d in series:
        d.BitsAllocated = 8 if stored == 8 else 16
        d.BitsStored, d.HighBit, d.PixelRepresentation = stored, stored - 1, 0
        word = (VALUES[0].astype(int) + 1024) >> (4 if stored == 8 else 0)
        d.PixelData = word.astype(f"u{d.BitsAllocated // 8}").tobytes()
        d.compress(syntax, generate_instance_uid=False)
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, signed
    (volume,), _ = find(save(tmp_path, series, order=range(8)))
    with refused(tmp_path / "I000", f"its JPEG has {says}, its header 16", hint="export"):
        read_hu(volume)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_jpeg_of_fewer_bits_than_words_have_is_usual(tmp_path, syntax):
    series = slices(VALUES)
    for d in series:
        d.BitsStored, d.HighBit, d.PixelRepresentation = 12, 11, 0
        d.compress(syntax, generate_instance_uid=False)
        d.BitsStored, d.HighBit = 16, 15
    np.testing.assert_array_equal(read(save(tmp_path, series)).array, VALUES)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_colors_in_a_gray_image_are_refused(tmp_path, syntax):
    series = slices(VALUES)
    for d in series:
        d.SamplesPerPixel, d.PhotometricInterpretation, d.PlanarConfiguration = 3, "RGB", 0
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 8, 8, 7, 0
        d.PixelData = np.zeros((*SHAPE[1:], 3), np.uint8).tobytes()
        d.compress(syntax, generate_instance_uid=False)
        d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
        d.BitsAllocated, d.BitsStored, d.HighBit = 16, 12, 11
    (volume,), _ = find(save(tmp_path, series, order=range(8)))
    with refused(tmp_path / "I000", "its JPEG has 3 components", hint="export"):
        read_hu(volume)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_codestream_tells_its_samples(syntax):
    (d, *_) = words(slices(VALUES), VALUES.astype(int) + 1024, syntax=syntax)
    (frame,) = generate_frames(d.PixelData, number_of_frames=1)
    assert read_coding(frame) == Coding(16, 1, is_signed=False)
    for cut in range(60):
        assert read_coding(frame[:cut]) in (None, Coding(16, 1))
    assert read_coding(b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(9) + frame[:60]) in (
        None if syntax == JPEGLSLossless else Coding(16, 1),
    )


def test_what_is_no_codestream_tells_nothing():
    for frame in (b"", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"RLE", b"\xff\xd8\xff\xe0\x00\x02\x00"):
        assert read_coding(frame) is None
    assert read_coding(b"\xff\xd8\xff\xff\xc0\x00\x0b\x0c\x00\x01\x00\x01\x01") == Coding(12, 1)


@pytest.mark.parametrize(
    ("bits", "coding", "expected"),
    [
        (SIGNED, Coding(12, 1), SIGNED),
        (SIGNED, Coding(10, 1, is_signed=True), Bits(10, 0, is_signed=True)),
        (UNSIGNED, Coding(10, 1), Bits(10, 0, is_signed=False)),
        (SIGNED, Coding(16, 1), SIGNED),
        (Bits(12, 4, is_signed=False), Coding(16, 1), Bits(12, 4, is_signed=False)),
        (Bits(12, 4, is_signed=False), Coding(12, 1), UNSIGNED),
        (Bits(12, 4, is_signed=False), Coding(13, 1), UNSIGNED),
    ],
)
def test_bits_of_decoded_words(bits, coding, expected):
    assert coded(bits, coding) == expected


def test_every_value_comes_out_of_its_bits():
    values = np.arange(-2048, 2048)
    for lowest in range(5):
        word = ((values & 0xFFF) << lowest).astype(np.uint16) | (1 << 15 if lowest < 4 else 0)
        signed = stored_values(word, Bits(12, lowest, is_signed=True))
        np.testing.assert_array_equal(signed, values)
        unsigned = stored_values(word, Bits(12, lowest, is_signed=False))
        np.testing.assert_array_equal(unsigned, values & 0xFFF)


def test_the_field_case_equals_its_truth(shared_data):
    folder = shared_data / "field_cases/ct_high_bit_15"
    np.testing.assert_array_equal(read(folder / "series").array, np.load(folder / "truth.npy"))
