"""The text of a compiled program as instructions, with the bytes of what each makes."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

_BITS = {"pred": 8, "token": 0, "opaque": 0}
_SHAPE = re.compile(r"\b([a-z]\w*)\[([\d,]*)\](?:\{([\d,]*)(?::T\(([\d,]+)\))?([^}]*)\})?")
"""Type, sizes, axes from the fastest on, tile, the rest, as in bf16[8,4]{1,0:T(8,128)S(1)}."""


class Size(NamedTuple):
    """Bytes of an array as such, and of the memory that it takes."""

    itself: float
    memory: float


class Instruction(NamedTuple):
    """A line of a program.

    Args:
      opcode: "fusion".
      type: what it makes, "f32[2,3]{1,0}" or a tuple of such.
      result: of all arrays in that.
      operands: names, in order.
      text: all behind the opcode's parenthesis.
    """

    opcode: str
    type: str
    result: Size
    operands: list[str]
    text: str


Computation = Mapping[str, Instruction]
"""Instructions by name."""


def parse(program: str) -> tuple[dict[str, Computation], str]:
    """Computations of `compiled.as_text()` by name, and which of them is the whole program."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, name = "", ""
    for line in program.splitlines():
        if head := re.match(r"(ENTRY )?%?([\w.-]+) \(.*\{$", line):
            name = head[2]
            computations[name] = {}
            entry = name if head[1] else entry
        elif found := re.match(r"\s+(?:ROOT )?%?([\w.-]+) = (.*)", line):
            computations[name][found[1]] = _instruction(found[2])
    return dict(computations), entry


def total(sizes: Iterable[Size]) -> Size:
    """Their sum."""
    return Size(*map(sum, zip((0.0, 0.0), *sizes, strict=True)))


def _instruction(text: str) -> Instruction:
    split = _end_of_type(text)
    opcode, _, rest = text[split:].lstrip().partition("(")
    operands = re.findall(r"%([\w.-]+)", rest[: _closing(rest)])
    made = text[:split]
    return Instruction(opcode, made, total(_sizes(made)), operands, rest)


def _end_of_type(text: str) -> int:
    """Where a result's type ends: a tuple's at its last parenthesis, another's at a space."""
    return 1 + _closing(text[1:]) + 1 if text.startswith("(") else text.index(" ")


def _closing(text: str) -> int:
    """Index of the parenthesis that closes one before the text."""
    depth = 1
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return index
    return len(text)


def _sizes(shapes: str) -> Iterator[Size]:
    """Of every array in a type. A TPU stores whole tiles; what is on the chip takes no memory."""
    for dtype, dims, order, tile, rest in _SHAPE.findall(shapes):
        digits = re.search(r"\d+", dtype)
        itemsize = _BITS.get(dtype, int(digits[0]) if digits else 0) / 8
        sizes, fastest_first, steps = map(_numbers, (dims, order, tile))
        tiled = list(sizes)
        for axis, step in zip(fastest_first, reversed(steps), strict=False):
            tiled[axis] = -(-tiled[axis] // step) * step
        in_memory = 0 if "S(1)" in rest else math.prod(tiled)
        yield Size(math.prod(sizes) * itemsize, in_memory * itemsize)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",") if number]
