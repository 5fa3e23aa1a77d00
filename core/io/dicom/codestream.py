"""What a JPEG, JPEG-LS or JPEG 2000 codestream says of its own samples.

Source: ISO/IEC 10918-1 B.2.2 and 14495-1 C.2.2 (frame headers), 15444-1 A.5.1 (SIZ).
"""

from typing import NamedTuple

_JPEG, _J2K, _JP2 = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}
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


def read_coding(frame: bytes) -> Coding | None:
    """Samples of an encoded image; None where it is no such codestream, or a damaged one."""
    start = frame.find(_J2K) if frame.startswith(_JP2) else 0
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
    """The frame header, after segments that each tell their length."""
    at = 2
    while stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker in _FRAME_HEADERS:
            return Coding(stream[at + 4], stream[at + 9])
        # Fill bytes may stand before a marker.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(stream[at + 2 : at + 4])
    return None
