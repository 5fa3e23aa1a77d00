"""What a compiled program moves: bytes through memory, and between chips."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from core.plan.hlo import Computation, Instruction, Size, parse, total

COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
    "ragged-all-to-all",
)
_FREE = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("while", "call", "conditional"),
}
"""They move nothing themselves: names for what is there, and what runs other computations."""
_PARTIAL = ("dynamic-slice", "slice", "gather")
"""They read as much as they make."""
_UPDATE = "dynamic-update-slice"
_CALLED = re.compile(r"(?:body|to_apply|calls|called_computation)=%?([\w.-]+)")

Program = Mapping[str, Computation]


class Moved(NamedTuple):
    """What one run of a program moves on one chip.

    Args:
      memory: bytes read and written by its kernels.
      collectives: how often it has each, and the bytes of their larger side.
    """

    memory: float
    collectives: Mapping[str, tuple[int, float]]


def moved(text: str) -> Moved:
    """Of `compiled.as_text()`; what a loop of known length repeats counts as often."""
    program, entry = parse(text)
    memory, counts, sizes = 0.0, Counter[str](), defaultdict[str, float](float)
    for name, repeats in _runs(program, entry).items():
        known = program[name]
        for instruction in known.values():
            kind = instruction.opcode.removesuffix("-start")
            if kind in COLLECTIVES:
                read, made = _whole(instruction, known)
                counts[kind] += repeats
                sizes[kind] += repeats * max(read.itself, made.itself)
            memory += repeats * _bytes(instruction, known, program)
    return Moved(memory, {kind: (counts[kind], sizes[kind]) for kind in counts})


def _bytes(instruction: Instruction, known: Computation, program: Program) -> float:
    """Read and written by one kernel."""
    opcode = instruction.opcode
    if opcode in _FREE or opcode.endswith("-done"):
        return 0.0
    if opcode in _PARTIAL:
        return 2 * instruction.result.memory
    if opcode == _UPDATE:
        return 2 * known[instruction.operands[1]].result.memory
    if opcode == "fusion" and (called := _CALLED.search(instruction.text)):
        return _fused(instruction, known, program[called[1]])
    read, made = _whole(instruction, known)
    return read.memory + made.memory


def _fused(fusion: Instruction, known: Computation, inside: Computation) -> float:
    """Of a fusion: parts of what it only takes slices of, and of what it updates in place."""
    updates = [i for i in inside.values() if i.opcode == _UPDATE]
    made = fusion.result.memory
    for update in updates:
        # The array stays where it is, and the new part is written.
        made += inside[update.operands[1]].result.memory - update.result.memory
    read = 0.0
    for name, parameter in inside.items():
        if parameter.opcode == "parameter":
            operand = known.get(fusion.operands[int(parameter.text.split(")")[0])])
            read += _read(name, inside, operand.result.memory if operand else 0.0)
    return read + max(0.0, made)


def _read(name: str, inside: Computation, whole: float) -> float:
    """Bytes of a parameter that a fused computation looks at."""
    users = [user for user in inside.values() if name in user.operands]
    if not all(u.opcode in (*_PARTIAL, _UPDATE) and u.operands[0] == name for u in users):
        return whole
    return min(whole, sum(u.result.memory for u in users if u.opcode in _PARTIAL))


def _whole(instruction: Instruction, known: Computation) -> tuple[Size, Size]:
    """Sizes of all operands and of the result, in which what starts a transfer names those, too."""
    read = total(known[o].result for o in instruction.operands if o in known)
    started = instruction.opcode.endswith("-start") and instruction.opcode != "all-reduce-start"
    if not started:
        return read, instruction.result
    pairs = zip(instruction.result, read, strict=True)
    return read, Size(*(max(0.0, a - b) for a, b in pairs))


def _runs(program: Program, entry: str) -> Counter[str]:
    """How often the instructions of each computation run, fusions aside, which are one kernel."""
    times, left = Counter({entry: 1}), [(entry, 1)]
    while left:
        name, repeats = left.pop()
        for instruction in program[name].values():
            if instruction.opcode not in ("while", "call", "async-start", "conditional"):
                continue
            trips = re.search(r'"known_trip_count":\{"n":"(\d+)"', instruction.text)
            inner = repeats * (int(trips[1]) if trips else 1)
            for called in _CALLED.findall(instruction.text):
                if called in program:
                    times[called] += inner
                    left.append((called, inner))
    return times
