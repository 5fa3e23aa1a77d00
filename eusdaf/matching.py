"""Which segmented picture belongs to which annotated one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from core.datasets.image_case import ImageCase
from core.datasets.images import read_images
from core.errors import InputError


class Matched(NamedTuple):
    """A segmented picture and the truth about it."""

    result: Mapping[str, Any]
    case: ImageCase
    folder: Path
    fold: int | None


def match(segmented: Mapping[Path, Mapping[str, Any]], truth: Path) -> list[Matched]:
    """Segmented stills that are annotated, by the path of the file or else by its name."""
    cases = read_images(truth).cases
    by_path = {case.image.resolve(): case for case in cases}
    stems = [case.image.stem for case in cases]
    by_stem = {case.image.stem: case for case in cases if stems.count(case.image.stem) == 1}
    found = []
    for pred, results in segmented.items():
        for result in results["cases"]:
            path = Path(result["input"])
            case = by_path.get(path.resolve()) or by_stem.get(path.stem)
            if case and result.get("num_frames", 1) == 1:
                folder = pred / "cases" / result["id"]
                found.append(Matched(result, case, folder, results["fold"]))
    if not found:
        raise InputError(
            f"none of the segmented pictures is annotated in {truth}",
            path=next(iter(segmented)),
            hint="pictures are matched by their path, or by a file name that comes once",
        )
    return found
