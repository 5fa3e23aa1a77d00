"""Close-ups of a scan: one cell for each place, around it."""

import io

import numpy as np
import pytest
from PIL import Image

from core.report.closeups import CELL_INCH, FOOT_INCH, NUM_COLUMNS, Place, closeups
from core.report.outline import Outline
from core.report.style import DPI
from core.volume import CANONICAL_DIRECTION, Volume, reorient

SHAPE = (8, 60, 70)


def scan() -> Volume:
    return Volume(np.zeros(SHAPE, np.int16), (3.0, 1.5, 1.5), (0.0, 0.0, 0.0), CANONICAL_DIRECTION)


def size(png: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(png)).size


@pytest.mark.parametrize(("num", "columns", "rows"), [(1, 1, 1), (5, 5, 1), (7, NUM_COLUMNS, 2)])
def test_there_is_a_cell_for_every_place(num: int, columns: int, rows: int):
    png = closeups(scan(), [], [Place((i, 30, 30), f"#{i}") for i in range(num)])
    wanted = (CELL_INCH * columns * DPI, (CELL_INCH * rows + FOOT_INCH) * DPI)
    assert size(png) == tuple(map(int, wanted))  # whole pixels


def test_the_place_is_in_the_middle_of_its_cell():
    """A bright voxel away from the middle of the slice is drawn in the middle of the picture."""
    image = scan()
    image.array[...] = -1000
    image.array[2, 10:14, 50:54] = 1000
    pixels = np.asarray(Image.open(io.BytesIO(closeups(image, [], [Place((2, 12, 52), "")]))))
    cell = pixels[: round(CELL_INCH * DPI), :, :3].astype(float)
    middle = cell.shape[0] // 2
    around = cell[middle - 6 : middle + 6, middle - 6 : middle + 6]
    assert around.min() > 200
    assert cell[middle, 20:100].max() < 50


def test_no_place_is_refused():
    with pytest.raises(ValueError, match="needs a place"):
        closeups(scan(), [], [])


def test_an_image_that_is_not_canonical_is_refused():
    flipped = reorient(scan(), -CANONICAL_DIRECTION)
    with pytest.raises(ValueError, match="must run to S, P, L"):
        closeups(flipped, [], [Place((1, 1, 1), "")])


def test_a_mask_of_another_grid_is_refused():
    outline = Outline("node", np.zeros((1, 2, 3), bool), "red", True)
    with pytest.raises(ValueError, match="mask"):
        closeups(scan(), [outline], [Place((1, 1, 1), "")])
