"""Masks find the series of their phase on whose grid they lie, or say why there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from core.datasets.series_masks import SeriesMask, match_masks
from core.errors import InputError
from core.volume import CANONICAL_DIRECTION, Volume

SHAPE, SPACING_MM = (12, 64, 64), (10.0, 5.0, 5.0)
GRID = Volume(np.zeros(SHAPE, np.int16), SPACING_MM, (0.0, 0.0, 0.0), CANONICAL_DIRECTION)
IDS = np.ones(SHAPE, np.uint8)


def mask(phase: str | None, array: np.ndarray, *, z: float = 0.0) -> SeriesMask:
    volume = replace(GRID, array=array, origin_mm=(0.0, 0.0, z))
    return SeriesMask(Path(f"{phase}.nii.gz"), phase, lambda: volume, lambda: volume)


def test_masks_are_matched_by_phase_and_grid():
    here, above = GRID, replace(GRID, origin_mm=(0.0, 0.0, 50.0))
    other = replace(GRID, array=np.zeros((9, 64, 64), np.int16))
    arterial = mask("arterial", IDS)
    (matched, missing) = match_masks([("venous", here), ("arterial", here)], [arterial])
    assert (matched, missing) == ([None, arterial], [])
    # Alone with a series alone, whatever its phase is taken for.
    assert match_masks([("unknown", here)], [arterial])[0] == [arterial]
    # Of two series of the phase it is that of the one on whose grid it lies.
    assert match_masks([("arterial", other), ("arterial", here)], [arterial])[0] == [None, arterial]
    assert match_masks([("arterial", above), ("arterial", here)], [arterial])[0] == [None, arterial]
    # By the grid alone, where the phase is not told.
    any_phase = mask(None, IDS)
    assert match_masks([("venous", other), ("arterial", here)], [any_phase])[0][1] is any_phase
    assert match_masks([("venous", here), ("unknown", here)], [arterial]) == (
        [None, None],
        [arterial],
    )


def test_a_mask_that_fits_no_series_or_several_is_an_error_of_these():
    other = replace(GRID, array=np.zeros((9, 64, 64), np.int16))
    arterial = mask("arterial", IDS)
    matched, _ = match_masks([("arterial", other), ("venous", other)], [arterial])
    assert isinstance(matched[0], InputError)
    assert matched[1] is None
    matched, _ = match_masks([("arterial", GRID), ("arterial", GRID)], [arterial])
    assert all(isinstance(one, InputError) for one in matched)

    def damaged() -> Volume:
        raise InputError("is damaged", path="x")

    matched, _ = match_masks([("arterial", GRID)], [arterial._replace(grid=damaged)])
    assert str(matched[0]) == "x: is damaged"
