import numpy as np
import pytest
from PIL import Image

from core.errors import InputError
from core.io.image import still
from core.io.image.still import num_pages, read_image, read_pages

GRAY = np.random.default_rng(0).integers(0, 256, (6, 9), np.uint8)
RGB = np.random.default_rng(1).integers(0, 256, (6, 9, 3), np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
@pytest.mark.parametrize("array", [GRAY, RGB], ids=["gray", "rgb"])
def test_eight_bit_pixels_come_back_as_they_were(tmp_path, ending, array):
    frame = read_image(saved(tmp_path / f"a.{ending}", Image.fromarray(array)))
    np.testing.assert_array_equal(frame.array, array)
    assert (frame.spacing_mm, frame.time_s) == (None, None)


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_one_bit_is_black_and_white(tmp_path, ending):
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(GRAY > 127))
    np.testing.assert_array_equal(read_image(path).array, np.where(GRAY > 127, 255, 0))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_keep_the_highest_eight(tmp_path, ending):
    deep = GRAY.astype(np.uint16) * 257
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(deep))
    np.testing.assert_array_equal(read_image(path).array, GRAY)


def test_twelve_bits_in_a_sixteen_bit_file_are_not_black(tmp_path):
    twelve = GRAY.astype(np.uint16) * 16
    path = saved(tmp_path / "a.png", Image.fromarray(twelve))
    np.testing.assert_array_equal(read_image(path).array, GRAY)


def test_a_float_tiff_of_fractions_fills_the_range(tmp_path):
    path = saved(tmp_path / "a.tif", Image.fromarray(GRAY.astype(np.float32) / 255))
    np.testing.assert_array_equal(read_image(path).array, GRAY)


@pytest.mark.parametrize("deep", [False, True])
def test_a_negative_of_tiff_is_turned_around(tmp_path, deep):
    stored = GRAY.astype(np.uint16) * 257 if deep else GRAY
    # Pillow turns 8-bit pixels around when it writes such a file, and deeper ones not.
    path = saved(
        tmp_path / "a.tif", Image.fromarray(stored if deep else 255 - stored), tiffinfo={262: 0}
    )
    assert stored.tobytes() in path.read_bytes()
    np.testing.assert_array_equal(read_image(path).array, 255 - GRAY)


def test_a_palette_gives_its_colors(tmp_path):
    palette = Image.fromarray(GRAY % 4).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)])
    path = saved(tmp_path / "a.png", palette)
    np.testing.assert_array_equal(read_image(path).array, colors[GRAY % 4])


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_lie_on_black(tmp_path, mode):
    image = Image.fromarray(GRAY if mode == "LA" else RGB).convert(mode)
    image.putalpha(Image.fromarray(np.where(GRAY > 127, 255, 0).astype(np.uint8)))
    array = read_image(saved(tmp_path / "a.png", image)).array
    solid = GRAY > 127
    expected = np.where(solid, GRAY, 0) if mode == "LA" else np.where(solid[..., None], RGB, 0)
    np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "RGB", "L"])
def test_jpeg_of_any_color_space_is_gray_or_rgb(tmp_path, mode):
    flat = np.full((16, 24, 3), (200, 120, 40), np.uint8)
    path = saved(tmp_path / "a.jpg", Image.fromarray(flat).convert(mode), quality=98)
    array = read_image(path).array
    if mode == "L":
        assert array.shape == (16, 24)
    else:  # JPEG rounds colors on the way to YCbCr and back, each by one or two
        np.testing.assert_allclose(array, flat.astype(int), atol=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path, orientation):
    # What a camera stores so that turning it by `orientation` shows the picture upright.
    store = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(store[orientation](GRAY)))
    path = saved(tmp_path / "a.png", stored, exif=exif)
    np.testing.assert_array_equal(read_image(path).array, GRAY)


@pytest.mark.parametrize("deep", [False, True])
def test_every_page_of_a_tiff_is_a_frame(tmp_path, deep):
    pages = [np.clip(GRAY, 0, 100), GRAY, np.clip(GRAY, 0, 10)]
    factor = np.uint16(257) if deep else np.uint8(1)
    images = [Image.fromarray(page * factor) for page in pages]
    path = saved(tmp_path / "a.tif", images[0], save_all=True, append_images=images[1:])
    assert num_pages(path) == 3
    for frame, page in zip(read_pages(path), pages, strict=True):
        np.testing.assert_array_equal(frame.array, page)


def test_the_name_does_not_decide_what_a_file_is(tmp_path):
    path = saved(tmp_path / "a.jpg", Image.fromarray(GRAY), format="PNG")
    np.testing.assert_array_equal(read_image(path).array, GRAY)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.png: the file is empty; fetch or copy it again"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer.*git lfs pull"),
        (b"\x00\x05\x16\x07rest", "macOS shadow file"),
        (b"%PDF-1.4 something else", "not a picture that can be read; save it as PNG"),
        (b"\x89PNG\r\n\x1a\n", "a.png: "),
    ],
)
def test_a_file_that_is_no_picture_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_image, num_pages):
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused_in_one_line(tmp_path, ending, share):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), np.uint8)
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(noise))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"a\.{ending}: .*(truncated or damaged|not a picture)"):
        read_image(path)


def test_a_missing_file_and_a_huge_claim_are_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"a\.png: no such file"):
        read_image(tmp_path / "a.png")
    monkeypatch.setattr(still, "MAX_PIXELS", 50)
    with pytest.raises(InputError, match="claims 9 by 6 pixels"):
        read_image(saved(tmp_path / "a.png", Image.fromarray(GRAY)))
