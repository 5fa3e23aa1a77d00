"""Damaged pixels are one line about the file, whatever a decoder does on them."""

import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless

from core.errors import InputError
from core.io.dicom.decoder import decoding
from core.io.dicom.header import read_frames
from core.io.dicom.pixels import read_hu
from tests.core.io.dicom.make import hu, save, slices
from tests.refusals import refused

JP2_START = bytes.fromhex("0000000c6a5020200d0a870a")


def compressed(folder, syntax, fragment):
    """A slice whose pixels are one fragment, which no encoder wrote."""
    (data,) = slices(hu((1, 6, 8)))
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([fragment])
    data["PixelData"].is_undefined_length = True
    (path,) = save(folder, [data]).iterdir()
    return path


# A segment of RLE that lies behind the end of its data makes the decoder panic; a box of JPEG 2000
# without a length is one that a parser never leaves.
RLE_BEYOND = bytes([2, 0, 0, 0, 64, 0, 0, 0, 0xFF, 0xFF, 0xFF]) + bytes(59)
ENDLESS_BOX = JP2_START + bytes(4) + b"free" + bytes(8)


@pytest.mark.parametrize(
    ("syntax", "fragment"),
    [(RLELossless, RLE_BEYOND), (JPEG2000Lossless, ENDLESS_BOX)],
    ids=["rle", "jpeg 2000"],
)
def test_pixels_that_a_decoder_fails_on_are_one_line(tmp_path, syntax, fragment):
    path = compressed(tmp_path, syntax, fragment)
    with refused(path, "its pixels cannot be decoded", hint="the slice is missing"):
        read_hu(read_frames(path))


def test_a_panic_is_no_reason_to_end_and_an_interrupt_is(tmp_path):
    class PanicException(BaseException):
        """As decoders in Rust raise it."""

    with refused(tmp_path, "PanicException", hint="again"), decoding(tmp_path, hint="again"):
        raise PanicException
    with pytest.raises(KeyboardInterrupt), decoding(tmp_path, hint="again"):
        raise KeyboardInterrupt
    with pytest.raises(InputError, match="is bad"), decoding(tmp_path, hint="again"):
        raise InputError("is bad")


def test_boxes_before_the_codestream_are_passed_over(tmp_path):
    fragment = JP2_START + (12).to_bytes(4) + b"free" + bytes(4) + bytes(4) + b"jp2c\xff\x4f"
    path = compressed(tmp_path, JPEG2000Lossless, fragment)
    with pytest.raises(InputError, match=r"cannot be decoded \((?!ValueError: a box)"):
        read_hu(read_frames(path))
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEG2000Lossless
