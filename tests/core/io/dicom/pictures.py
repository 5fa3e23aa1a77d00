"""Ultrasound pictures in DICOM whose header and pixels may contradict each other."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from core.phantom.ultrasound.dicom import write_dicom_picture
from core.volume import Frame


def changed(path: Path, frames, **changes) -> Path:
    """Frames, or their arrays, with other elements; None takes one away."""
    write_dicom_picture(path, [f if isinstance(f, Frame) else Frame(f) for f in frames], seed=0)
    data = pydicom.dcmread(path)
    for name, value in changes.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
            if data[name].VR == "US or SS":
                data[name].VR = "US"
    data.save_as(path)
    return path


def compressed(path: Path, frames, streams, *, syntax=JPEGBaseline8Bit, offsets=True, **changes):
    """Frames of which the streams are the pixels."""
    changed(path, frames, **changes)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate(list(streams), has_bot=offsets)
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    return path


def jpeg(array, *, ids=None, markers=True, rgb=False) -> bytes:
    """A JPEG; with other component ids, or without the marks that Pillow makes."""
    file = BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=95, subsampling=0, keep_rgb=rgb)
    stream = file.getvalue()
    if not markers:
        stream = _without_marks(stream)
    return stream if ids is None else _numbered(stream, ids)


def _without_marks(stream: bytes) -> bytes:
    while stream[3] in (0xE0, 0xEE):
        length = int.from_bytes(stream[4:6], "big")
        stream = stream[:2] + stream[4 + length :]
    return stream


def _numbered(stream: bytes, ids: bytes) -> bytes:
    """The components' names in the header of the frame and in that of the scan."""
    changed, frame, scan = bytearray(stream), stream.index(b"\xff\xc0"), stream.index(b"\xff\xda")
    for number, id_ in enumerate(ids):
        changed[frame + 10 + 3 * number] = changed[scan + 5 + 2 * number] = id_
    return bytes(changed)


def smooth(shape=(48, 64), seed=0) -> np.ndarray:
    """Colors (h, w, 3) that JPEG changes little."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC))
