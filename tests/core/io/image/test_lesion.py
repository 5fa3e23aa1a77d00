"""Which value of a mask file is the tumor, in every way that annotation tools write it."""

from functools import partial

import numpy as np
import pytest
from PIL import Image

from core.io.image.mask import read_mask
from tests.core.io.image import masks
from tests.core.io.image.masks import saved
from tests.refusals import refused

SHAPE = (96, 128)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]
LESION = np.hypot(ROWS - 30, COLUMNS - 40) < 14
ORGAN = (ROWS > 20) & ~LESION & (COLUMNS > 10)
SPECKLE = np.random.default_rng(0).integers(30, 180, SHAPE, np.uint8)
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]
VOID = np.where(np.abs(np.hypot(ROWS - 30, COLUMNS - 40) - 14) < 1, 255, LESION).astype(np.uint8)
HINT = "--prepare.lesion-value"


read = partial(masks.read, shape=SHAPE)


def labels(organ, lesion):
    return np.select([LESION, ORGAN], [lesion, organ], 0).astype(np.uint8)


def colored(background, lesion, organ=None):
    array = np.broadcast_to(np.uint8(background), (*SHAPE, 3)).copy()
    if organ is not None:
        array[ORGAN] = organ
    array[LESION] = lesion
    return array


def palette(ids, colors):
    image = Image.fromarray(ids, "P")
    image.putpalette(colors)
    return image


EQUAL = {
    "a palette of two ids": palette(labels(0, 1), [0, 0, 0, 128, 0, 0]),
    "a palette whose first color is bright": palette(labels(0, 1), [90, 90, 0, 70, 0, 70]),
    "a palette with white first": palette(labels(1, 0) | ~LESION, [255, 255, 255, 0, 0, 0]),
    "a palette of one color": palette(labels(0, 1), [0, 0, 0] * 2),
    "ids 5 and 7": palette(np.where(LESION, 7, 5).astype(np.uint8), [0, 0, 90] * 8),
    "black on transparent": np.dstack([np.zeros((*SHAPE, 3), np.uint8), labels(0, 255)]),
    "white on transparent white": np.dstack([np.full((*SHAPE, 3), 255, np.uint8), labels(0, 255)]),
    "red, half transparent everywhere": np.dstack(
        [colored((0, 0, 0), (255, 0, 0)), np.full(SHAPE, 60, np.uint8)]
    ),
    "red on transparent black": np.dstack([colored((0, 0, 0), (255, 0, 0)), labels(0, 255)]),
    "white on black inside a transparent border": np.dstack(
        [colored((0, 0, 0), (255, 255, 255)), np.where(ROWS > 5, 255, 0).astype(np.uint8)]
    ),
    "white on black, all of it transparent": np.dstack(
        [colored((0, 0, 0), (255, 255, 255)), np.zeros(SHAPE, np.uint8)]
    ),
    "yellow on blue": colored((0, 0, 90), (255, 255, 0)),
    "dark red": colored((0, 0, 0), (128, 0, 0)),
    "levels 100 and 200": np.where(LESION, 200, 100).astype(np.uint8),
    "16 bits, 0 and 300": np.where(LESION, 300, 0).astype(np.uint16),
}


@pytest.mark.parametrize("kind", EQUAL)
def test_two_values_of_any_kind_are_a_mask(tmp_path, kind):
    mask, told = read(saved(tmp_path / "m.png", EQUAL[kind]))
    np.testing.assert_array_equal(mask, LESION)
    assert told == []


@pytest.mark.parametrize(
    "real", [labels(0, 1).astype(np.float32), labels(0, 255) / np.float32(255)]
)
def test_a_float_mask_is_a_mask(tmp_path, real):
    mask, told = read(saved(tmp_path / "m.tif", real))
    np.testing.assert_array_equal(mask, LESION)
    assert told == []


@pytest.mark.parametrize("resaved", [False, True], ids=["jpeg", "jpeg saved as png"])
@pytest.mark.parametrize(
    "drawn",
    [
        colored((0, 0, 0), (128, 0, 0)),
        colored((0, 0, 0), (0, 255, 0)),
        colored((0, 0, 0), (128, 128, 128)),
        labels(0, 128),
        labels(0, 80),
        labels(0, 255),
    ],
    ids=["red 128", "green", "gray 128", "128", "80", "255"],
)
def test_levels_that_compression_spread_are_two(tmp_path, drawn, resaved):
    path = saved(tmp_path / "m.jpg", drawn, quality=80)
    if resaved:
        path = saved(tmp_path / "m.png", Image.open(path))
    assert len(np.unique(np.asarray(Image.open(path)))) > 16
    mask, _ = read(path)
    # Chroma has half the resolution of the picture: a pixel of the border may be either.
    assert np.sum(mask != LESION) < 30


def test_a_smooth_drawing_of_few_shades_is_cut_in_the_middle(tmp_path):
    half = Image.fromarray(labels(0, 200)).resize((64, 48), Image.Resampling.BOX)
    image = np.repeat(np.repeat(np.asarray(half), 2, axis=0), 2, axis=1)
    mask, _ = read(saved(tmp_path / "m.png", image))
    np.testing.assert_array_equal(mask, image > 100)


REFUSED = {
    "label ids": (labels(1, 2), ("0, 1, 2", "a mask has two")),
    "three levels": (labels(128, 255), ("0, 128, 255", "a mask has two")),
    "ids of a palette": (palette(labels(1, 2), VOC), ("0, 1, 2", "a mask has two")),
    "ids of one color": (palette(labels(1, 2), [0] * 9), ("0, 1, 2", "a mask has two")),
    "two ids of one color": (
        palette(labels(1, 2), [0, 0, 0, 200, 0, 0, 200, 0, 0]),
        ("0, 1, 2", "a mask has two"),
    ),
    "ids with a void border": (palette(VOID, [*VOC, *[0] * 756, 224, 224, 192]), ("0, 1, 255",)),
    "three colors": (
        colored((0, 0, 0), (255, 0, 0), (0, 255, 0)),
        ("#000000, #00ff00, #ff0000", "a mask has two"),
    ),
    "three floats": (labels(1, 2).astype(np.float32), ("0, 1, 2", "a mask has two")),
    "red on white": (colored((255, 255, 255), (255, 0, 0)), ("#ff0000, #ffffff", "either")),
    "inverted": (labels(0, 255) ^ 255, ("95% of the image", "100% of its border", "inverted")),
    "lesion alone transparent": (
        np.dstack([np.zeros((*SHAPE, 3), np.uint8), labels(0, 255) ^ 255]),
        ("95% of the image", "inverted"),
    ),
    "a photograph": (SPECKLE, ("no mask", "photograph")),
    "a photograph on black": (np.where(ORGAN, SPECKLE, 0).astype(np.uint8), ("photograph",)),
    "an overlay": (
        np.where(LESION[..., None], np.uint8([255, 0, 0]), np.dstack([SPECKLE] * 3)),
        ("photograph",),
    ),
    "a smooth picture": (
        np.rint(255 * np.exp(-((ROWS - 48) ** 2 + (COLUMNS - 60) ** 2) / 1800)).astype(np.uint8),
        ("photograph",),
    ),
    "noise of black": ((SPECKLE % 4).repeat(1).reshape(SHAPE) * 3, ("a mask has two",)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_mask_of_two_values_is_refused_with_the_flag(tmp_path, kind):
    image, told = REFUSED[kind]
    ending = "tif" if getattr(image, "dtype", None) == np.float32 else "png"
    path = saved(tmp_path / f"m.{ending}", image)
    with refused(path, *told, hint=HINT):
        read_mask([path], shape=SHAPE)


def test_three_levels_stay_three_under_compression(tmp_path):
    path = saved(tmp_path / "m.jpg", labels(128, 255), quality=90)
    with refused(path, "0, 12", "a mask has two", hint=HINT):
        read_mask([path], shape=SHAPE)


def test_a_large_lesion_inside_the_picture_is_told(tmp_path):
    large = (ROWS > 8) & (ROWS < 90) & (COLUMNS > 8) & (COLUMNS < 120)
    mask, told = read(saved(tmp_path / "m.png", large))
    np.testing.assert_array_equal(mask, large)
    assert told == [f"marks {large.mean():.0%} of the image; is it inverted?"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("label ids", "2"),
        ("three levels", "255"),
        ("ids of a palette", "2"),
        ("ids of one color", "2"),
        ("two ids of one color", "2"),
        ("three colors", "#ff0000"),
        ("three floats", "2"),
        ("red on white", "#ff0000"),
        ("inverted", "0"),
        ("lesion alone transparent", "0"),
        ("an overlay", "#ff0000"),
    ],
)
def test_a_named_value_is_the_lesion(tmp_path, kind, value):
    image, _ = REFUSED[kind]
    ending = "tif" if getattr(image, "dtype", None) == np.float32 else "png"
    mask, told = read(saved(tmp_path / f"m.{ending}", image), lesion_value=value)
    np.testing.assert_array_equal(mask, LESION)
    assert told == []


def test_a_named_value_is_found_under_compression(tmp_path):
    path = saved(tmp_path / "m.jpg", labels(128, 255), quality=90)
    for value, expected in (("128", ORGAN), ("255", LESION)):
        mask, _ = read(path, lesion_value=value)
        assert np.mean(mask != expected) < 0.02


def test_a_gray_that_compression_tints_is_named_by_a_number(tmp_path):
    path = saved(tmp_path / "m.jpg", colored((0, 0, 0), (200, 203, 200)), quality=90)
    mask, _ = read(path, lesion_value="203")
    assert np.sum(mask != LESION) < 30


def test_a_picture_without_the_named_value_has_no_lesion_which_is_told(tmp_path):
    mask, told = read(saved(tmp_path / "m.png", labels(0, 1)), lesion_value="2")
    assert not mask.any()
    assert told == ["has no value 2, only 0, 1"]
    mask, told = read(saved(tmp_path / "n.png", labels(0, 0)), lesion_value="2")
    assert (mask.any(), told) == (False, [])


def test_a_number_does_not_name_a_color(tmp_path):
    path = saved(tmp_path / "m.png", colored((0, 0, 0), (255, 0, 0), (0, 255, 0)))
    with refused(path, "#00ff00", "no value 2", hint="#ff0000"):
        read_mask([path], shape=SHAPE, lesion_value="2")
