"""Stored pixels of a DICOM picture as they are shown: 8 bits, gray or RGB.

Headers are often wrong about their pixels, so the pixels have the last word where these can tell:
what a JPEG says of its colors, which bits are used, how deep the entries of a palette are.

Source: DICOM PS3.3, C.7.6.3.1.2 (photometric interpretation) and C.7.6.3.1.5 (palettes); PS3.5,
8.1.1 (bits).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGTransferSyntaxes

from core.io.dicom.jpeg_colors import colors_of
from core.io.dicom.picture_frames import few_frames
from core.io.dicom.stored import Bits, bits_of
from core.io.image.depth import bits_needed, to_uint8
from core.io.remarks import remark

GRAY, INVERTED, PALETTE = "MONOCHROME2", "MONOCHROME1", "PALETTE COLOR"
MIXED = {"YBR_ICT", "YBR_RCT"}
"""Tags of a JPEG 2000 that itself goes back to RGB."""
MIN_UNUSED_BITS = 4
"""Highest bits that no pixel uses, from which on a picture would have 16 gray levels or fewer."""


def correct_colors(data: Dataset, path: Path) -> None:
    """Tag a file with the colors that its first JPEG says, and remark it where that is another."""
    tagged = str(data.get("PhotometricInterpretation") or GRAY)
    syntaxes = {*JPEGTransferSyntaxes, *JPEG2000TransferSyntaxes}
    if data.file_meta.TransferSyntaxUID not in syntaxes or tagged in MIXED:
        return
    num_frames = int(data.get("NumberOfFrames") or 1)
    found = colors_of(next(generate_frames(data.PixelData, number_of_frames=num_frames)))
    if found is None or tagged.startswith(found[:3]):
        return
    data.PhotometricInterpretation = found
    names = {"RGB": "RGB", "YBR_FULL": "YCbCr"}
    remark(path, f"tagged {tagged}, and its JPEG is {names[found]}; read as the JPEG says")


def pictures(data: Dataset, num_frames: int, path: Path) -> Iterator[NDArray[np.uint8]]:
    """Gray (H, W) or RGB (H, W, 3) of each frame; errors are those of the decoders."""
    photometric = str(data.get("PhotometricInterpretation") or GRAY)
    palette = _palette(data) if photometric == PALETTE else None
    depth = _depth(data, num_frames, path) if palette is None else _depth_of(palette, path)
    for array in _values(data, num_frames, path):
        if palette is not None:
            first = int(data.RedPaletteColorLookupTableDescriptor[1])
            places = np.clip(array.astype(np.int64) - first, 0, len(palette) - 1)
            yield to_uint8(palette[places], bits=depth)
        else:
            shown = to_uint8(array, bits=depth)
            yield 255 - shown if photometric == INVERTED else shown


def _values(data: Dataset, num_frames: int, path: Path) -> Iterator[NDArray]:
    """Decoded values of each frame; YBR of any kind becomes RGB."""
    bits = bits_of(data)
    decoded = iter_pixels(data, correct_unused_bits=bits.is_signed)
    for index in range(num_frames):
        array = next(decoded, None)
        if array is None:
            raise few_frames(index, num_frames, path)
        yield _cut(array, bits, path)


def _cut(array: NDArray, bits: Bits, path: Path) -> NDArray:
    """Values without what lies beside their bits; 1 bit is black and white."""
    if bits.is_signed or array.dtype.kind != "u":
        return array
    if bits.num == 1:
        return array.astype(bool)
    if bits.lowest:
        below = (array & (2**bits.lowest - 1)).any()
        if below and not (array >> bits.num).any():
            remark(path, "its values lie lower than its high bit says; read as they lie")
        else:
            array = array >> bits.lowest
    if (array >> bits.num).any():
        remark(path, f"bits beside the {bits.num} stored ones are set, as by overlays; cut off")
    return array & (2**bits.num - 1)


def _depth(data: Dataset, num_frames: int, path: Path) -> int:
    """Bits whose 8 highest are shown: those stored, but for ones that no frame of the file uses."""
    bits = bits_of(data)
    stored, used = max(8, bits.num), 8
    if stored < 8 + MIN_UNUSED_BITS or bits.is_signed:
        return stored
    for array in _values(data, num_frames, path):
        used = max(used, bits_needed([array]))
        if used > stored - MIN_UNUSED_BITS:
            return stored
    remark(path, f"stored with {stored} bits, of which {used} are used; shown by these")
    return used


def _palette(data: Dataset) -> NDArray:
    """Colors (n, 3) by the values of pixels from the first mapped one on."""
    num, first = (int(v) for v in data.RedPaletteColorLookupTableDescriptor[:2])
    colors = apply_color_lut(first + np.arange(num or 2**16), data)[:, :3]
    is_whole = "RedPaletteColorLookupTableData" in data
    # pydicom takes the words of a whole table as they lie in the file.
    swapped = is_whole and not data.file_meta.TransferSyntaxUID.is_little_endian
    return colors.byteswap() if swapped else colors


def _depth_of(palette: NDArray, path: Path) -> int:
    """Bits of the entries of a palette: 8, also where each is stored in a word."""
    stored = 8 * palette.dtype.itemsize
    used = max(8, bits_needed([palette]))
    if used > stored - MIN_UNUSED_BITS:
        return stored
    remark(path, f"its palette is stored with {stored} bits, of which {used} are used")
    return used
