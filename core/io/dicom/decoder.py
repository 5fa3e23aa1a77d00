"""Decoders of pixel data, whose failures are one line about the file.

They raise many kinds of errors, and their texts are their own. One is written in Rust, where a
panic is no `Exception`; and one parser never ends on a box of a JPEG 2000 file without a length.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import JPEG2000TransferSyntaxes

from core.errors import InputError
from core.io.dicom.codestream import JP2

_NOT_OURS = (InputError, KeyboardInterrupt, SystemExit, GeneratorExit)
_CODESTREAM = b"jp2c"
_FIRST_BOX_BYTES = 12


@contextmanager
def decoding(path: Path, *, hint: str) -> Iterator[None]:
    """Around a call of a decoder.

    Args:
      path: the file.
      hint: what to do where it cannot be decoded.

    Raises:
      InputError: it cannot be.
    """
    try:
        yield
    except _NOT_OURS:
        raise
    except BaseException as error:
        raise InputError(
            f"its pixels cannot be decoded ({type(error).__name__})", path=path, hint=hint
        ) from error


def require_boxes(data: Dataset) -> None:
    """Refuse JPEG 2000 whose boxes lead nowhere, before a decoder follows them.

    Raises:
      ValueError: a box before the codestream has no length.
    """
    if data.file_meta.TransferSyntaxUID not in JPEG2000TransferSyntaxes:
        return
    num_frames = int(data.get("NumberOfFrames") or 1)
    for frame in generate_frames(data.PixelData, number_of_frames=num_frames):
        at = _FIRST_BOX_BYTES if frame.startswith(JP2) else len(frame)
        while at < len(frame) and frame[at + 4 : at + 8] != _CODESTREAM:
            length = int.from_bytes(frame[at : at + 4])
            if not length:
                raise ValueError("a box without a length")
            at += length
