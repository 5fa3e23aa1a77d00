"""Segments of a JPEG, JPEG-LS or JPEG 2000, and what they say of its samples.

Source: ISO/IEC 10918-1 B.2.2 and 14495-1 C.2.2 (frame headers), 15444-1 A.5.1 (SIZ).
"""

from collections.abc import Iterator
from typing import NamedTuple

JP2 = b"\x00\x00\x00\x0cjP  "
"""Start of JPEG 2000 in a file of boxes."""
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of JPEG before size and components; the others of the range are tables."""

_JPEG_LS_FRAME = 0xF7
_JPEG, _J2K = b"\xff\xd8", b"\xff\x4f\xff\x51"
_SIZ_COMPONENTS = 40  # its place in bytes from the start, the precision of the first follows
_SIGNED = 0x80


class Coding(NamedTuple):
    """Samples of a codestream.

    Args:
      precision: bits of a sample.
      components: samples of a pixel.
      is_signed: whether they are signed; a JPEG or JPEG-LS never says so.
    """

    precision: int
    components: int
    is_signed: bool = False


def segments(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and content of each segment of a codestream, up to the compressed pixels."""
    at = 2
    while stream[at : at + 1] == b"\xff" and at + 4 <= len(stream):
        if stream[at + 1] == 0xFF:  # fill bytes may stand before a marker
            at += 1
            continue
        length = int.from_bytes(stream[at + 2 : at + 4])
        yield stream[at + 1], stream[at + 4 : at + 2 + length]
        at += 2 + length


def read_coding(frame: bytes) -> Coding | None:
    """Samples of an encoded image; None where it is no such codestream, or a damaged one."""
    start = frame.find(_J2K) if frame.startswith(JP2) else 0
    try:
        if start >= 0 and frame.startswith(_J2K, start):
            return _jpeg_2000(frame[start:])
        return _jpeg(frame) if frame.startswith(_JPEG) else None
    except IndexError:
        return None


def _jpeg_2000(stream: bytes) -> Coding:
    precision = stream[_SIZ_COMPONENTS + 2]
    components = int.from_bytes(stream[_SIZ_COMPONENTS : _SIZ_COMPONENTS + 2])
    return Coding((precision & ~_SIGNED) + 1, components, bool(precision & _SIGNED))


def _jpeg(stream: bytes) -> Coding | None:
    headers = JPEG_FRAMES | {_JPEG_LS_FRAME}
    header = next((content for marker, content in segments(stream) if marker in headers), None)
    return Coding(header[0], header[5]) if header is not None else None
