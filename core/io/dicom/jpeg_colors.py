"""Which colors the components of a JPEG or JPEG 2000 are, by its own marks.

Source: libjpeg, jdapimin.c, default_decompress_parms; here components numbered otherwise than 1, 2,
3 stay what the header around the JPEG says. ITU-T T.800, A.6.1 (JPEG 2000, multiple components).
"""

from typing import Literal

from core.io.dicom.codestream import JPEG_FRAMES, segments

Colors = Literal["RGB", "YBR_FULL"]
"""As DICOM calls them; the latter is YCbCr."""

_LOSSY_FRAMES = {0xC0, 0xC1, 0xC2}
_APP0, _APP14 = 0xE0, 0xEE
_ADOBE_TRANSFORM = 11
"""Place of the byte that is 0 for RGB and 1 for YCbCr."""
_JPEG_2000, _CODING, _MIXED = b"\xff\x4f", 0x52, 4
"""Start of a JPEG 2000, its segment on coding, and the byte in it that is 1 for mixed RGB."""


def colors_of(stream: bytes) -> Colors | None:
    """Colors that three components have when decoded; None where it is not told.

    Args:
      stream: a JPEG or JPEG 2000.
    """
    is_jpeg_2000 = stream.startswith(_JPEG_2000)
    marked: Colors | None = None
    for marker, content in segments(stream):
        if is_jpeg_2000 and marker == _CODING:
            return "RGB" if content[_MIXED : _MIXED + 1] == b"\x01" else None
        if marker == _APP0 and content.startswith(b"JFIF"):
            marked = "YBR_FULL"
        elif marker == _APP14 and content.startswith(b"Adobe") and marked is None:
            transform = content[_ADOBE_TRANSFORM : _ADOBE_TRANSFORM + 1]
            marked = ("YBR_FULL" if transform[0] else "RGB") if transform else None
        elif marker in JPEG_FRAMES:
            return _of_components(bytes(content[6::3]), marked, is_lossy=marker in _LOSSY_FRAMES)
    return None


def _of_components(ids: bytes, marked: Colors | None, *, is_lossy: bool) -> Colors | None:
    """Names of the components count most, then the marks before them, then their numbers."""
    if ids in (b"RGB", b"rgb"):
        return "RGB"
    # Writers without loss number the components of RGB as well.
    numbered: Colors | None = "YBR_FULL" if ids == b"\x01\x02\x03" and is_lossy else None
    return (marked or numbered) if len(ids) == 3 else None
