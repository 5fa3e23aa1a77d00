"""Decode stored pixels to HU."""

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.errors import InputError
from core.io.dicom.slice_header import SliceHeader
from core.io.dicom.warnings import quiet
from core.io.hu import AIR_HU, rescale, stack, warn_without_air
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
    for doubt in sorted({doubt for frame in frames for doubt in frame.doubts}):
        remark(first.path.parent, doubt)
    with quiet():
        array = stack(_decoded(frames), (len(frames), *first.size))
    warn_without_air(array, first.path.parent)
    return array


def equal_pixels(a: SliceHeader, b: SliceHeader) -> bool:
    """Whether two images decode, and to the same HU."""
    try:
        with quiet():
            return np.array_equal(_decode([a])[0], _decode([b])[0])
    except InputError:  # told where the pixels are needed
        return False


def _decoded(frames: Sequence[SliceHeader]) -> Iterator[NDArray]:
    """HU (H, W) of each frame; threads stay at most one batch of files ahead."""
    files = [list(f) for _, f in itertools.groupby(frames, key=lambda frame: frame.path)]
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for start in range(0, len(files), BATCH):
            for decoded in pool.map(_decode, files[start : start + BATCH]):
                yield from decoded


def _decode(frames: list[SliceHeader]) -> list[NDArray]:
    """HU (H, W) of frames of one file."""
    return [_to_hu(s, f) for s, f in zip(_stored(frames), frames, strict=True)]


def _stored(frames: list[SliceHeader]) -> Iterator[NDArray]:
    path, indices = frames[0].path, [f.index for f in frames]
    require_decoder(frames[0].syntax, path)
    try:
        data = read_dataset(path)
        arrays = list(iter_pixels(data, indices=indices, raw=True))
    except Exception as error:  # decoders raise many kinds, and their text is their own
        raise InputError(
            f"its pixels cannot be decoded ({type(error).__name__})",
            path=path,
            hint="the slice is missing; fetch the file again",
        ) from error
    for array, frame in zip(arrays, frames, strict=True):
        if array.shape != frame.size:
            raise InputError(f"its pixels have shape {array.shape}, not {frame.size}", path=path)
        yield array


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


def _to_hu(stored: NDArray, frame: SliceHeader) -> NDArray:
    slope, intercept = frame.rescale or (1.0, 0.0)
    values = rescale(stored, slope, intercept)
    if frame.padding is not None:
        low, high = _padding_range(frame.padding, stored.dtype)
        # Padding that reads as tissue is left: some writers declare 0, which is water.
        if high * slope + intercept < AIR_HU:
            values = np.where((stored >= low) & (stored <= high), AIR_HU, values)
    return values


def _padding_range(padding: tuple[int, int], dtype: np.dtype) -> tuple[int, int]:
    """Padding as the pixels store it: 63536 is -2000 where pixels are signed, 16 bits."""
    wrapped = [int(np.array(p & (2 ** (8 * dtype.itemsize) - 1)).astype(dtype)) for p in padding]
    return min(wrapped), max(wrapped)
