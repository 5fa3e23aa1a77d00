"""Group DICOM slices into volumes by their header values."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from core.io.dicom.division import divide, sorted_frames
from core.io.dicom.geometry import SAME_POSITION_MM, height_mm, normal, problem, repeats
from core.io.dicom.slice_header import SliceHeader

Frames = tuple[SliceHeader, ...]


class Grouped(NamedTuple):
    """Slices sorted into volumes, refused stacks and duplicates.

    Args:
      volumes: each sorted along its normal.
      refused: stacks that form no volume, and why.
      duplicates: slices equal to another one, and its name.
    """

    volumes: list[Frames]
    refused: list[tuple[Frames, str]]
    duplicates: list[tuple[SliceHeader, str]]


def group(
    frames: Iterable[SliceHeader],
    *,
    min_slices: int,
    equal: Callable[[SliceHeader, SliceHeader], bool],
) -> Grouped:
    """Group images into volumes.

    Args:
      frames: images in a fixed order, the order of their paths.
      min_slices: fewer are no volume.
      equal: whether two images have equal pixels; asked only where positions repeat.
    """
    grouped = Grouped([], [], [])
    for stack in _stacks(frames):
        parts, twins = _parts(stack, min_slices, equal)
        grouped.duplicates.extend(twins)
        for part in parts:
            if reason := _refusal(part, min_slices):
                grouped.refused.append((part, f"{_title(part)}: {reason}"))
            else:
                grouped.volumes.append(part)
    return grouped


def _parts(
    stack: Frames, min_slices: int, equal: Callable[[SliceHeader, SliceHeader], bool]
) -> tuple[list[Frames], list[tuple[SliceHeader, str]]]:
    """Volumes that share a stack, and its duplicates."""
    kept, twins = _without_duplicates(stack, equal)
    if twins and repeats(kept):
        # Two volumes that differ may still have equal slices of air: their headers differ.
        mixed, copies = _without_duplicates(stack, lambda a, b: _same_header(a, b) and equal(a, b))
        if len(parts := divide(mixed, min_slices)) > 1:
            return parts, copies
    return divide(kept, min_slices), twins


def _stacks(frames: Iterable[SliceHeader]) -> list[Frames]:
    """Images of one series with one orientation, size and pixel spacing, sorted by position."""
    stacks: dict[tuple, list[list[SliceHeader]]] = defaultdict(list)
    for frame in frames:
        candidates = stacks[(frame.series, frame.size)]
        for members in candidates:
            if _parallel(members[0], frame):
                members.append(frame)
                break
        else:
            candidates.append([frame])
    return [sorted_frames(members) for candidates in stacks.values() for members in candidates]


def _parallel(a: SliceHeader, b: SliceHeader) -> bool:
    if (a.orientation, a.spacing_mm) == (b.orientation, b.spacing_mm):
        return True
    return np.allclose(a.orientation, b.orientation, rtol=0, atol=1e-3) and np.allclose(
        a.spacing_mm, b.spacing_mm, rtol=1e-3
    )


def _without_duplicates(
    stack: Frames, equal: Callable[[SliceHeader, SliceHeader], bool]
) -> tuple[Frames, list[tuple[SliceHeader, str]]]:
    """Keep one of the images at one position that are the same object or have equal pixels."""
    axis = normal(stack[0])
    kept: list[SliceHeader] = []
    here: list[SliceHeader] = []  # those of `kept` at the position that the loop has reached
    twins = []
    for frame in stack:
        if here and height_mm(frame, axis) - height_mm(here[0], axis) >= SAME_POSITION_MM:
            here = []
        twin = next((o for o in here if _same_object(frame, o) or equal(frame, o)), None)
        if twin is None:
            kept.append(frame)
            here.append(frame)
        else:
            twins.append((frame, f"a duplicate of {twin.path.name}"))
    return tuple(kept), twins


def _same_header(a: SliceHeader, b: SliceHeader) -> bool:
    return (a.split_keys, a.times_s) == (b.split_keys, b.times_s)


def _same_object(a: SliceHeader, b: SliceHeader) -> bool:
    return bool(a.uid) and (a.uid, a.index, a.position_mm) == (b.uid, b.index, b.position_mm)


def _refusal(stack: Frames, min_slices: int) -> str:
    least = max(min_slices, 2)  # one slice has no spacing
    if len(stack) < least:
        return f"too few for a volume, which needs at least {least}"
    return problem(stack)


def _title(stack: Frames) -> str:
    name = f"series {stack[0].description!r}" if stack[0].description else "series"
    return f"{name} of {len(stack)} slice{'s' if len(stack) > 1 else ''}"
