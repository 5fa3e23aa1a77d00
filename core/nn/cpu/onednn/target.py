"""The target that XLA calls: a handler of its foreign function interface, written with ctypes.

Structures are those of xla/ffi/api/c_api.h, which jaxlib brings along. As long as the major version
stays, they are extended at their ends only.
"""

import ctypes
from collections.abc import Iterator
from functools import cache

import jax

from core.nn.cpu.onednn.convolution import prepared

NAME = "panjax_onednn_convolution"
MAJOR_VERSION = 0
"""Of the interface."""

_EXECUTE, _METADATA, _INTERNAL = 3, 1, 13
_HEAD = (("struct_size", ctypes.c_size_t), ("extension", ctypes.c_void_p))


class _Extension(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
    )


class _Version(ctypes.Structure):
    _fields_ = (*_HEAD, ("major", ctypes.c_int), ("minor", ctypes.c_int))


class _Metadata(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("version", _Version),
        ("traits", ctypes.c_uint32),
    )


class _MetadataExtension(ctypes.Structure):
    _fields_ = (("base", _Extension), ("metadata", ctypes.POINTER(_Metadata)))


class _ErrorArguments(ctypes.Structure):
    _fields_ = (*_HEAD, ("message", ctypes.c_char_p), ("code", ctypes.c_int))


_CreateError = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_ErrorArguments))


class _Api(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("version", _Version),
        ("internal", ctypes.c_void_p),
        ("create_error", _CreateError),
    )


class _Buffer(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("dtype", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
    )


class _Buffers(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("size", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("items", ctypes.POINTER(ctypes.POINTER(_Buffer))),
    )


class _Text(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Attributes(ctypes.Structure):
    _fields_ = (
        *_HEAD,
        ("size", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("names", ctypes.c_void_p),
        ("items", ctypes.POINTER(ctypes.POINTER(_Text))),
    )


class _CallFrame(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.POINTER(_Extension)),
        ("api", ctypes.POINTER(_Api)),
        ("context", ctypes.c_void_p),
        ("stage", ctypes.c_int),
        ("arguments", _Buffers),
        ("results", _Buffers),
        ("attributes", _Attributes),
    )


def _handle(frame_of_call: "ctypes._Pointer[_CallFrame]") -> int | None:
    """What XLA calls: at registration, and for each convolution; returns its error, or None."""
    frame = frame_of_call.contents
    try:
        if frame.extension and frame.extension.contents.type == _METADATA:
            _tell_version(frame)
        elif frame.stage == _EXECUTE:
            (text,) = _items(frame.attributes)
            arrays = *_items(frame.arguments), *_items(frame.results)
            call = ctypes.string_at(text.start, text.length).decode()
            prepared(call)(*(array.data for array in arrays))
    except Exception as error:  # whatever it is, XLA has to be told, or goes on with garbage
        return _error(frame, f"{type(error).__name__}: {error}")
    return None


def _tell_version(frame: _CallFrame) -> None:
    extension = ctypes.cast(frame.extension, ctypes.POINTER(_MetadataExtension)).contents
    metadata, theirs = extension.metadata.contents, frame.api.contents.version
    if theirs.major != MAJOR_VERSION:
        raise RuntimeError(f"XLA's foreign functions are of version {theirs.major}.{theirs.minor}")
    metadata.version.major, metadata.version.minor = theirs.major, theirs.minor
    metadata.traits = 0


def _items(listed: "_Buffers | _Attributes") -> Iterator:
    return (listed.items[i].contents for i in range(listed.size))


def _error(frame: _CallFrame, message: str) -> int | None:
    arguments = _ErrorArguments(
        ctypes.sizeof(_ErrorArguments), None, message.encode(), code=_INTERNAL
    )
    return frame.api.contents.create_error(ctypes.byref(arguments))


_handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_CallFrame))(_handle)
"""Kept for as long as the process lives."""


@cache
def register() -> None:
    """Make the target known to XLA, once in a process."""
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
    capsule = new_capsule(ctypes.cast(_handler, ctypes.c_void_p), None, None)
    jax.ffi.register_ffi_target(NAME, capsule, platform="cpu")
