import numpy as np
import pytest

from core.io import remarks
from core.io.image.contrast import num_levels, require_contrast
from tests.refusals import refused

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "gray",
    [np.zeros((60, 80)), np.full((60, 80), 200), 16 + RNG.integers(0, 4, (60, 80))],
    ids=["black", "one gray", "noise"],
)
def test_a_picture_of_one_gray_is_refused(tmp_path, gray):
    gray = gray.astype(np.uint8)
    gray[3, 5] = 255  # a single bright pixel makes no picture
    with refused(tmp_path / "a.png", f"gray {int(np.median(gray))}", hint="export"):
        require_contrast(gray, tmp_path / "a.png")


def test_a_dark_picture_is_told_and_any_other_is_not(tmp_path):
    dark = RNG.integers(0, 11, (60, 80)).astype(np.uint8)
    with remarks.kept() as lines:
        require_contrast(dark, tmp_path / "a.png")
        require_contrast(dark * 20, tmp_path / "b.png")
    assert num_levels(dark) == 10
    assert lines == [f"{tmp_path / 'a.png'}: nearly shows nothing: it spans 10 of 256 gray levels"]
