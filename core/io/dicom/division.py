"""Divide one series into the volumes that share it, by what its headers say of each slice.

A scan is often stored in pieces: the acquisition number counts table positions, and each slice
has a time of its own. So a series is divided only where its parts overlap in space, as two passes
of the table do, and where every part is a volume by itself.
"""

import itertools
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from core.io.dicom.geometry import height_mm, normal, problem, repeats
from core.io.dicom.passes import by_gaps, by_jumps, past_midnight
from core.io.dicom.slice_header import SliceHeader

Frames = tuple[SliceHeader, ...]
STACK = 0  # the key that says which stack of a multi-frame file an image is in
MOST_KEYS = 3  # that tell volumes apart together, such as phase, kernel and thickness


class _Labels(NamedTuple):
    """A part's name for each image of a stack, and what told it."""

    of: tuple[Hashable, ...]
    is_inferred: bool = False
    is_stack: bool = False


def sorted_frames(frames: Iterable[SliceHeader]) -> Frames:
    """Images of one orientation, from the lowest along their normal to the highest."""
    frames = tuple(frames)
    axis = normal(frames[0])
    return tuple(sorted(frames, key=lambda f: (height_mm(f, axis), f.path, f.index)))


def divide(stack: Frames, min_slices: int) -> list[Frames]:
    """Volumes that share a stack of images, as few as there can be.

    Args:
      stack: sorted images of one series, orientation, size and pixel spacing.
      min_slices: fewer are no volume.

    Returns:
      Sorted parts; the stack itself where it is one volume, or nothing divides it into volumes.
    """
    collides = repeats(stack)
    for choices in _choices(stack, min_slices, collides=collides):
        divisions = [_parts(stack, c) for c in choices if _is_clean(stack, c, min_slices, collides)]
        if divisions:
            return min(divisions, key=len)  # of equal ones the first, which is told most strongly
    return [stack]


def _choices(stack: Frames, min_slices: int, *, collides: bool) -> Iterator[list[_Labels]]:
    """Ways to label images, in groups of which an earlier one is trusted more."""
    keys = _told(stack, min_slices)
    acquired, made = (_timed(stack, [f.times_s[i] for f in stack], is_clock=True) for i in (0, 1))
    yield [*keys, *acquired]
    for num in range(2, MOST_KEYS + 1):
        yield [
            _Labels(tuple(zip(*(labels.of for labels in chosen), strict=True)))
            for chosen in itertools.combinations(keys, num)
        ]
    if collides:  # images are made and numbered in any order
        yield made
        yield _timed(stack, [f.number for f in stack], is_clock=False)


def _told(stack: Frames, min_slices: int) -> list[_Labels]:
    """Labels by each key that makes two parts or more, each of them big enough on average."""
    found: dict[tuple, _Labels] = {}
    for key, column in enumerate(zip(*(f.split_keys for f in stack), strict=True)):
        if 2 <= len(set(column)) <= len(stack) / max(1, min_slices):
            places = {value: number for number, value in enumerate(dict.fromkeys(column))}
            pattern = tuple(places[value] for value in column)
            found.setdefault(pattern, _Labels(column, is_stack=key == STACK))
    return list(found.values())


def _timed(stack: Frames, order: Sequence[float | None], *, is_clock: bool) -> list[_Labels]:
    """Labels by passes of the table, where every image has its place in the order."""
    if None in order or len(set(order)) < 2:
        return []
    axis = normal(stack[0])
    heights = np.array([height_mm(f, axis) for f in stack])
    ordered = past_midnight(np.array(order, float)) if is_clock else np.array(order, float)
    labels = by_gaps(heights, ordered), by_jumps(heights, ordered)
    return [_Labels(tuple(numbers.tolist()), is_inferred=True) for numbers in labels]


def _parts(stack: Frames, labels: _Labels) -> list[Frames]:
    parts: dict[Hashable, list[SliceHeader]] = defaultdict(list)
    for label, frame in zip(labels.of, stack, strict=True):
        parts[label].append(frame)
    return [tuple(parts[label]) for label in sorted(parts, key=str)]


def _is_clean(stack: Frames, labels: _Labels, min_slices: int, collides: bool) -> bool:
    """Whether every part is a volume, and the parts overlap in space."""
    parts = _parts(stack, labels)
    if len(parts) < 2 or any(len(p) < min_slices or repeats(p) for p in parts):
        return False
    if collides and not labels.is_inferred:
        return True  # a part of irregular slices is refused by itself
    if any(len(part) < 2 or problem(part) for part in parts):
        return False
    return collides or _overlap(parts) or (labels.is_stack and bool(problem(stack)))


def _overlap(parts: Sequence[Frames]) -> bool:
    axis = normal(parts[0][0])
    ranges = sorted((height_mm(p[0], axis), height_mm(p[-1], axis)) for p in parts)
    return any(start < end for (_, end), (start, _) in itertools.pairwise(ranges))
