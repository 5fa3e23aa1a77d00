"""oneDNN's C interface, from the wheel `onednn-cpu-gomp`.

Names and numbers are those of oneDNN 3's dnnl.h and dnnl_types.h.
"""

import ctypes
import logging
import os
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from typing import Any

logger = logging.getLogger(__name__)

PACKAGE, FILE = "onednn-cpu-gomp", "libdnnl.so.3"

Handle = ctypes.c_void_p
"""Of an engine, a descriptor, a primitive, a memory object."""

CPU, FLOAT32, ANY_LAYOUT, IN_ORDER = 1, 3, 1, 1
FORWARD_TRAINING, DIRECT, USER_SCRATCHPAD = 64, 1, 1
WEIGHTS_MD, DIFF_WEIGHTS_MD, SCRATCHPAD_MD = 131, 132, 136
"""What a primitive descriptor is asked for."""
SRC, DST, WEIGHTS, DIFF_SRC, DIFF_DST, DIFF_WEIGHTS, SCRATCHPAD = 1, 17, 33, 129, 145, 161, 80
"""Arguments of a primitive."""


class Argument(ctypes.Structure):
    """dnnl_exec_arg_t."""

    _fields_ = (("arg", ctypes.c_int), ("memory", Handle))


class Library:
    """Calls that raise where oneDNN returns a status that is not success.

    Args:
      path: of libdnnl.
    """

    def __init__(self, path: str) -> None:
        # What is quick keeps Python's lock; what computes gives it to other threads.
        self._quick, self._slow = ctypes.PyDLL(path), ctypes.CDLL(path)
        self._quick.dnnl_primitive_desc_query_md.restype = Handle
        self._quick.dnnl_memory_desc_get_size.restype = ctypes.c_size_t
        self.engine = self.new("engine_create", CPU, ctypes.c_size_t(0))
        self._stream = self.new("stream_create", self.engine, IN_ORDER)
        self._attributes = self.new("primitive_attr_create")
        self.call("primitive_attr_set_scratchpad_mode", self._attributes, USER_SCRATCHPAD)

    def call(self, name: str, *args: Any) -> None:
        """dnnl_`name`(*args).

        Raises:
          RuntimeError: it refuses.
        """
        if status := getattr(self._quick, f"dnnl_{name}")(*args):
            raise RuntimeError(f"oneDNN's {name} ended with status {status}")

    def new(self, name: str, *args: Any) -> Handle:
        """What dnnl_`name` makes of the rest of its arguments."""
        handle = Handle()
        self.call(name, ctypes.byref(handle), *args)
        return handle

    def descriptor(self, sizes: Sequence[int], strides: Sequence[int] | None = None) -> Handle:
        """Of a float32 array with these strides, or in whatever layout oneDNN likes."""
        axes = len(sizes), array(sizes), FLOAT32
        if strides is None:
            return self.new("memory_desc_create_with_tag", *axes, ANY_LAYOUT)
        return self.new("memory_desc_create_with_strides", *axes, array(strides))

    def primitive_descriptor(self, name: str, *args: Any) -> Handle:
        """Of a primitive that computes in memory of its caller."""
        return self.new(f"{name}_primitive_desc_create", *args, self._attributes)

    def memory_descriptor(self, primitive_descriptor: Handle, query: int) -> Handle:
        """What a primitive wants one of its arguments to be like; owned by it."""
        return Handle(self._quick.dnnl_primitive_desc_query_md(primitive_descriptor, query, 0))

    def num_bytes(self, descriptor: Handle) -> int:
        """That an array takes."""
        return self._quick.dnnl_memory_desc_get_size(descriptor)

    def execute(self, primitive: Handle, arguments: dict[int, tuple[Handle, int]]) -> None:
        """Run a primitive on arrays, each a descriptor and an address, and wait for its end."""
        memories = [
            self.new("memory_create", descriptor, self.engine, Handle(address))
            for descriptor, address in arguments.values()
        ]
        try:
            given = (Argument * len(memories))(*zip(arguments, memories, strict=True))
            if status := self._slow.dnnl_primitive_execute(
                primitive, self._stream, len(memories), given
            ):
                raise RuntimeError(f"a primitive of oneDNN ended with status {status}")
        finally:
            for memory in memories:
                self.call("memory_destroy", memory)


def array(values: Sequence[int]) -> Any:
    """Values as dnnl_dims_t."""
    return (ctypes.c_int64 * len(values))(*values)


@cache
def load() -> Library | None:
    """The library; None where its wheel is not installed, or does not load here."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return None
    # Between two convolutions XLA's threads have work: those of OpenMP must not wait busily.
    before = os.environ.get("OMP_WAIT_POLICY")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        return Library(str(next(f.locate() for f in files if f.name == FILE)))
    except (OSError, StopIteration) as error:
        logger.warning("oneDNN is not used: %s", error or f"{PACKAGE} has no {FILE}")
        return None
    finally:
        if before is None:
            del os.environ["OMP_WAIT_POLICY"]
