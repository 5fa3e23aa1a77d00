"""Decode stored pixels to HU."""

import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.errors import InputError
from core.io.dicom.codestream import read_coding
from core.io.dicom.decoder import decoding, require_boxes
from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.stored import Bits, bits_of, coded, foreign_bits, stored_values
from core.io.dicom.warnings import quiet
from core.io.hu import AIR_HU, rescale, stack
from core.io.hu_check import require_hu
from core.io.remarks import remark

BATCH = 64


def read_hu(frames: Sequence[SliceHeader]) -> NDArray:
    """HU (D, H, W) of frames in their order, decoded in threads.

    Raises:
      InputError: a file cannot be decoded; the line names it, and the decoder if one is missing.
    """
    first = frames[0]
    if any(f.rescale is None for f in frames):
        remark(first.path.parent, "no rescale values; stored values are taken as HU")
    if any(f.lossy for f in frames):
        remark(first.path.parent, "compressed with loss, which changes HU")
    doubts = {doubt for frame in frames for doubt in frame.doubts}
    with quiet():
        array = stack(_decoded(frames, doubts), (len(frames), *first.size))
    for doubt in sorted(doubts):
        remark(first.path.parent, doubt)
    return require_hu(array, first.path.parent)


def equal_pixels(a: SliceHeader, b: SliceHeader) -> bool:
    """Whether two images decode, and to the same HU."""
    try:
        with quiet():
            return np.array_equal(_decode([a], set())[0], _decode([b], set())[0])
    except InputError:  # told where the pixels are needed
        return False


def _decoded(frames: Sequence[SliceHeader], doubts: set[str]) -> Iterator[NDArray]:
    """HU (H, W) of each frame; threads stay at most one batch of files ahead."""
    decode = functools.partial(_decode, doubts=doubts)
    files = [list(f) for _, f in itertools.groupby(frames, key=lambda frame: frame.path)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), BATCH):
            for decoded in pool.map(decode, files[start : start + BATCH]):
                yield from decoded


def _decode(frames: list[SliceHeader], doubts: set[str]) -> list[NDArray]:
    """HU (H, W) of frames of one file; what is doubtful in its pixels is added to the doubts."""
    pairs = zip(_words(frames), frames, strict=True)
    return [_to_hu(words, bits, frame, doubts) for (words, bits), frame in pairs]


def _words(frames: list[SliceHeader]) -> Iterator[tuple[NDArray, Bits]]:
    """Decoded words of frames of one file, and where they keep their values."""
    path, indices = frames[0].path, [f.index for f in frames]
    require_decoder(frames[0].syntax, path)
    with decoding(path, hint="the slice is missing; fetch the file again"):
        data = read_dataset(path)
        bits = _bits(data, path)
        require_boxes(data)
        arrays = list(iter_pixels(data, indices=indices, raw=True, **_AS_STORED))
    for array, frame in zip(arrays, frames, strict=True):
        if array.shape != frame.size:
            raise InputError(f"its pixels have shape {array.shape}, not {frame.size}", path=path)
        yield array, bits[frame.index]


# The decoders' own corrections of signs and unused bits differ by compression.
_AS_STORED: dict[str, Any] = {
    "correct_unused_bits": False,
    "apply_j2k_sign_correction": False,
    "apply_jls_sign_correction": False,
}


def _bits(data: pydicom.Dataset, path: Path) -> list[Bits]:
    """Where the words of each frame of a file keep their values, once they are decoded."""
    bits, num_frames = bits_of(data), int(data.get("NumberOfFrames") or 1)
    if not data.file_meta.TransferSyntaxUID.is_encapsulated:
        return [bits] * num_frames
    encoded = generate_frames(data.PixelData, number_of_frames=num_frames)
    try:
        codings = [read_coding(frame) for frame in itertools.islice(encoded, num_frames)]
        return [bits if coding is None else coded(bits, coding) for coding in codings]
    except ValueError as reason:
        raise InputError(str(reason), path=path, hint=_EXPORT_AGAIN) from None


def read_dataset(path: Path) -> pydicom.Dataset:
    """A whole DICOM file, with the transfer syntax that it may have left out."""
    data = pydicom.dcmread(path, force=True)
    if not data.file_meta.get("TransferSyntaxUID"):
        data.file_meta.TransferSyntaxUID = _guessed_syntax(data)
    return data


def require_decoder(syntax_uid: str, path: Path) -> None:
    """Refuse a file whose compression nothing here can undo.

    Raises:
      InputError: the compression is unknown, or its decoder is not installed.
    """
    syntax = UID(syntax_uid)
    if not syntax:
        return
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        raise InputError(f"unknown compression {syntax.name}", path=path) from None
    if not available:
        raise InputError(
            f"compressed as {syntax.name}, and no decoder is installed",
            path=path,
            hint="pip install 'panjax[dicom]'",
        )


def _guessed_syntax(data: pydicom.Dataset) -> UID:
    implicit, little = data.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _to_hu(words: NDArray, bits: Bits, frame: SliceHeader, doubts: set[str]) -> NDArray:
    if words.dtype.kind == "f":
        return rescale(words, *(frame.rescale or (1.0, 0.0)))
    stored = stored_values(words, bits)
    padded = _padded(words, stored, bits, frame)
    if bits.num < 8 * words.dtype.itemsize and not bits.has_overlay:
        below, above = (used & ~padded for used in foreign_bits(words, stored, bits))
        if below.any():
            raise InputError(
                f"its {bits.num} stored bits start at bit {bits.lowest}, and lower ones are used",
                path=frame.path,
                hint=_EXPORT_AGAIN,
            )
        if above.any():
            doubts.add(f"bits beyond the {bits.num} stored ones are set in pixels, and left out")
    values = rescale(stored, *(frame.rescale or (1.0, 0.0)))
    return np.where(padded, AIR_HU, values) if padded.any() else values


_EXPORT_AGAIN = "export the series again"


def _padded(words: NDArray, stored: NDArray, bits: Bits, frame: SliceHeader) -> NDArray:
    """Which pixels are no measurement."""
    if frame.padding is None:
        return np.zeros(words.shape, bool)
    low, high = _padding_range(frame.padding, stored.dtype)
    slope, intercept = frame.rescale or (1.0, 0.0)
    # Padding that reads as tissue is left: some writers declare 0, which is water.
    is_a_value = np.abs(2 * low + 1) < 2**bits.num if bits.is_signed else high < 2**bits.num
    if is_a_value and high * slope + intercept >= AIR_HU:
        return np.zeros(words.shape, bool)
    # Padding beyond the stored bits is found in the whole word.
    typed = words.astype(stored.dtype, copy=False)
    return np.logical_or.reduce([(v >= low) & (v <= high) for v in (stored, typed)])


def _padding_range(padding: tuple[int, int], dtype: np.dtype) -> tuple[int, int]:
    """Padding as the pixels store it: 63536 is -2000 where pixels are signed, 16 bits."""
    wrapped = [int(np.array(p & (2 ** (8 * dtype.itemsize) - 1)).astype(dtype)) for p in padding]
    return min(wrapped), max(wrapped)
