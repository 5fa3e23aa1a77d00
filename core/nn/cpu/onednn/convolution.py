"""A convolution of oneDNN, or one of its gradients, prepared once for its shapes."""

import json
import math
from functools import cache
from typing import NamedTuple

from core.nn.cpu.onednn import library
from core.nn.cpu.onednn.library import Handle, Library
from core.nn.xla_conv import Role

_ALIGNMENT = 64
"""Bytes of a cache line."""


class Call(NamedTuple):
    """What one call computes; as text it stands in the compiled program.

    Args:
      wanted: the value, or a gradient.
      image: shape (n, *s, i).
      kernel: shape (*k, i / groups, o).
      out: shape (n, *t, o).
      strides: per axis.
      pads: zeros before and after each axis.
      groups: parts of the channels that do not see each other.
    """

    wanted: Role
    image: tuple[int, ...]
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    groups: int

    @property
    def result(self) -> tuple[int, ...]:
        """Shape of what is computed."""
        return getattr(self, self.wanted)

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(self)


@cache
def prepared(text: str) -> "Convolution":
    """The convolution of a call's text.

    Raises:
      RuntimeError: oneDNN has none for it.
    """
    onednn = library.load()
    if onednn is None:
        raise RuntimeError(f"{library.PACKAGE} is not installed")
    return Convolution(onednn, Call(*json.loads(text)))


class Convolution:
    """Primitives of one call; arrays lie channel last, the kernel is reordered for each call.

    Args:
      onednn: the library.
      call: what is computed.

    Raises:
      RuntimeError: oneDNN has none for it.
    """

    def __init__(self, onednn: Library, call: Call) -> None:
        self._onednn, self._wanted = onednn, call.wanted
        sizes, strides = _kernel_axes(call.kernel, call.groups)
        self._image, self._out = (
            onednn.descriptor(*_image_axes(shape)) for shape in (call.image, call.out)
        )
        self._plain, liked = onednn.descriptor(sizes, strides), onednn.descriptor(sizes)
        before, after = (library.array(side) for side in zip(*call.pads, strict=True))
        window = (
            library.array(call.strides),
            library.array([0] * len(call.strides)),
            before,
            after,
        )
        described = _described(onednn, call.wanted, (self._image, liked, self._out), window)
        self._primitive = onednn.new("primitive_create", described)
        query = library.DIFF_WEIGHTS_MD if call.wanted == "kernel" else library.WEIGHTS_MD
        self._liked = onednn.memory_descriptor(described, query)
        self._scratchpad = onednn.memory_descriptor(described, library.SCRATCHPAD_MD)
        ends = self._plain, self._liked
        if call.wanted == "kernel":
            ends = ends[::-1]
        source, target = ((end, onednn.engine) for end in ends)
        self._reorder = onednn.new(
            "primitive_create", onednn.primitive_descriptor("reorder", *source, *target)
        )
        self._kernel_bytes = _aligned(onednn.num_bytes(self._liked))

    @property
    def workspace_bytes(self) -> int:
        """Memory that a call needs besides its arrays: the reordered kernel, and a scratchpad."""
        return self._kernel_bytes + max(1, self._onednn.num_bytes(self._scratchpad))

    def __call__(self, a: int, b: int, result: int, workspace: int) -> None:
        """Compute, all arguments being addresses.

        Args:
          a: of the first given, as `core.nn.xla_conv.compute` orders them.
          b: of the second.
          result: of what is computed.
          workspace: of `workspace_bytes` bytes.
        """
        run, liked = self._onednn.execute, (self._liked, workspace)
        scratchpad = {
            library.SCRATCHPAD: (self._scratchpad, workspace + self._kernel_bytes),
        }
        if self._wanted == "kernel":
            arrays = {library.SRC: (self._image, a), library.DIFF_DST: (self._out, b)}
            run(self._primitive, {**arrays, library.DIFF_WEIGHTS: liked, **scratchpad})
            run(self._reorder, {library.SRC: liked, library.DST: (self._plain, result)})
            return
        kernel = b if self._wanted == "out" else a
        run(self._reorder, {library.SRC: (self._plain, kernel), library.DST: liked})
        if self._wanted == "out":
            arrays = {library.SRC: (self._image, a), library.DST: (self._out, result)}
        else:
            arrays = {library.DIFF_SRC: (self._image, result), library.DIFF_DST: (self._out, b)}
        run(self._primitive, {**arrays, library.WEIGHTS: liked, **scratchpad})


def _described(
    onednn: Library, wanted: Role, arrays: tuple[Handle, ...], window: tuple[object, ...]
) -> Handle:
    """Primitive descriptor; those of gradients ask for that of the value as well."""
    image, kernel, out = arrays
    describe, kind = onednn.primitive_descriptor, library.DIRECT
    value = describe(
        "convolution_forward",
        onednn.engine,
        library.FORWARD_TRAINING,
        kind,
        image,
        kernel,
        None,
        out,
        *window,
    )
    if wanted == "out":
        return value
    if wanted == "image":
        name, given = "convolution_backward_data", (image, kernel, out)
    else:
        name, given = "convolution_backward_weights", (image, kernel, None, out)
    return describe(name, onednn.engine, kind, *given, *window, value)


def _image_axes(shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
    """Sizes and strides of (n, *s, c) in oneDNN's order, which is n, c, *s."""
    n, *spatial, channels = shape
    strides = _strides(shape)
    return [n, channels, *spatial], [strides[0], strides[-1], *strides[1:-1]]


def _kernel_axes(shape: tuple[int, ...], groups: int) -> tuple[list[int], list[int]]:
    """Of (*k, i, o) in oneDNN's order, which is o, i, *k, behind the groups where there are any."""
    *size, channels, outputs = shape
    *spatial, step, one = _strides(shape)
    axes, strides = [channels, *size], [step, *spatial]
    if groups == 1:
        return [outputs, *axes], [one, *strides]
    part = outputs // groups
    return [groups, part, *axes], [part * one, one, *strides]


def _strides(shape: tuple[int, ...]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // _ALIGNMENT) * _ALIGNMENT
