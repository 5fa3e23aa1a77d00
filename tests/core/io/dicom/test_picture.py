"""Ultrasound and other display pictures in DICOM: real files of pydicom, and written ones."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG4HP41, JPEGLSLossless

from core.io.dicom.header import NotUsedError
from core.io.dicom.picture import read_picture_header, read_pictures
from core.io.dicom.warnings import quiet
from core.phantom.ultrasound.dicom import write_dicom_picture
from core.volume import Frame
from tests.core.io.dicom import pictures
from tests.core.io.dicom.make import save, slices
from tests.refusals import refused

GRAY = Frame(np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8), (0.2, 0.3))
COLOR = Frame(np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8))


def real(name):
    with quiet():
        return Path(get_testdata_file(name, download=False))


def changed(path, **changes):
    """A gray picture with other elements; None takes one away."""
    return pictures.changed(path, [GRAY], **changes)


def region(*, corner=(15, 11), delta_cm=(0.03, 0.02), units=(3, 3), spatial_format=1):
    item = Dataset()
    item.RegionSpatialFormat = spatial_format
    item.RegionLocationMinX0 = item.RegionLocationMinY0 = 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = corner
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta_cm
    return item


def spacing(path):
    return next(read_pictures(path)).spacing_mm


@pytest.mark.parametrize(
    ("name", "num_frames", "shape", "spacing_cm"),
    [
        ("examples_ybr_color.dcm", 30, (240, 320), 0.05104970559),
        ("examples_rgb_color.dcm", 1, (240, 320), None),
        ("examples_palette.dcm", 1, (350, 800), 0.02622878766),
        ("examples_jpeg2k.dcm", 1, (480, 640), None),
        ("ExplVR_BigEnd.dcm", 1, (60, 80), None),
    ],
)
def test_pydicoms_ultrasound_files_are_read(name, num_frames, shape, spacing_cm):
    frames = list(read_pictures(real(name)))
    assert len(frames) == num_frames == read_picture_header(real(name)).num_frames
    for frame in frames:
        assert frame.array.shape == (*shape, 3)
        assert frame.array.max() > 200
        if spacing_cm is None:
            assert frame.spacing_mm is None
        else:  # the header's centimeters, written here to ten digits
            np.testing.assert_allclose(frame.spacing_mm, 10 * spacing_cm, rtol=1e-9)


def test_frames_of_a_clip_know_their_time():
    with quiet():
        step_ms = float(pydicom.dcmread(real("examples_ybr_color.dcm")).FrameTime)
    times = [frame.time_s for frame in read_pictures(real("examples_ybr_color.dcm"))]
    np.testing.assert_allclose(times, np.arange(30) * step_ms / 1000)


def test_every_way_to_store_a_color_gives_that_color():
    # One picture of 100 by 100 in bars, which its authors compressed and converted in many ways.
    expected = next(read_pictures(real("SC_rgb_rle.dcm"))).array.astype(int)
    for name in ("SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_gdcm_KY.dcm"):
        array = next(read_pictures(real(name))).array
        # JPEG is lossy, and YBR rounds: within a few gray levels nearly everywhere.
        assert np.mean(np.abs(array - expected)) < 3, name


@pytest.mark.parametrize("bits", ["", "_16bit", "_32bit"])
@pytest.mark.parametrize("frames", ["", "_2frame"])
def test_deeper_colors_and_several_frames_keep_the_picture(bits, frames):
    expected = next(read_pictures(real("SC_rgb_rle.dcm"))).array
    pictures = list(read_pictures(real(f"SC_rgb_rle{bits}{frames}.dcm")))
    assert len(pictures) == (2 if frames else 1)
    np.testing.assert_array_equal(pictures[0].array, expected)


def test_a_palette_looks_up_each_color():
    with quiet():
        data = pydicom.dcmread(real("examples_palette.dcm"))
        index = data.pixel_array
    tables = [
        np.frombuffer(data[f"{color}PaletteColorLookupTableData"].value, "<u2")
        for color in ("Red", "Green", "Blue")
    ]
    expected = np.stack([table[index] >> 8 for table in tables], axis=-1)
    (frame,) = read_pictures(real("examples_palette.dcm"))
    np.testing.assert_array_equal(frame.array, expected)


@pytest.mark.parametrize("frame", [GRAY, COLOR], ids=["gray", "color"])
@pytest.mark.parametrize("num", [1, 3])
def test_what_was_written_is_read(tmp_path, frame, num):
    path = write_dicom_picture(tmp_path / "a.dcm", [frame] * num, seed=3)
    pictures = list(read_pictures(path))
    assert len(pictures) == num
    for number, picture in enumerate(pictures):
        np.testing.assert_array_equal(picture.array, frame.array)
        assert picture.spacing_mm == frame.spacing_mm
        assert picture.time_s == (None if num == 1 else pytest.approx(0.04 * number))


def test_the_inverted_gray_is_turned_around(tmp_path):
    path = changed(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(next(read_pictures(path)).array, 255 - GRAY.array)


def test_twelve_stored_bits_are_scaled_by_their_depth(tmp_path):
    deep = (GRAY.array.astype("<u2") << 4).tobytes()
    bits = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11, "PixelData": deep}
    path = changed(tmp_path / "a.dcm", **bits)
    np.testing.assert_array_equal(next(read_pictures(path)).array, GRAY.array)


def test_regions_in_centimeters_have_a_scale_each_and_the_screen_one_if_all_agree(tmp_path):
    regions = [
        region(delta_cm=(-0.03, 0.02)),
        region(corner=(90, 90), units=(3, 4)),  # time across: a Doppler trace
        region(corner=(90, 90), spatial_format=2),  # motion over time
        region(corner=(90, 90), delta_cm=(0.0, 0.1)),
        region(corner=(3, 2), delta_cm=(0.03, 0.020001)),  # rounded otherwise
        region(corner=(0, 0), delta_cm=(0.03, 0.02)),  # has no place: all of the screen
    ]
    path = changed(tmp_path / "a.dcm", SequenceOfUltrasoundRegions=regions, PixelSpacing=[9, 9])
    frame = next(read_pictures(path))
    assert frame.spacing_mm == pytest.approx((0.2, 0.3))
    assert [(r.rows, r.columns) for r in frame.regions] == [
        ((0, 12), (0, 16)),
        ((0, 3), (0, 4)),
        ((0, 12), (0, 16)),
    ]
    for found in frame.regions:
        assert found.spacing_mm == pytest.approx((0.2, 0.3), rel=1e-4)
    other = [*regions, region(corner=(3, 3), delta_cm=(0.5, 0.5))]
    frame = next(read_pictures(changed(tmp_path / "b.dcm", SequenceOfUltrasoundRegions=other)))
    assert frame.spacing_mm is None
    assert frame.regions[-1].spacing_mm == (5, 5)


def test_without_a_usable_region_the_pixel_spacing_counts_else_nothing(tmp_path):
    trace = [region(units=(4, 3))]
    path = changed(tmp_path / "a", SequenceOfUltrasoundRegions=trace, PixelSpacing=[0.5, 0.6])
    assert spacing(path) == (0.5, 0.6)
    assert spacing(changed(tmp_path / "b", SequenceOfUltrasoundRegions=None)) is None
    zero = changed(tmp_path / "c", SequenceOfUltrasoundRegions=None, PixelSpacing=[0, 0])
    assert spacing(zero) is None


def test_uneven_steps_of_a_clip_add_up(tmp_path):
    path = write_dicom_picture(tmp_path / "a.dcm", [GRAY] * 3, seed=0)
    data = pydicom.dcmread(path)
    data.FrameTimeVector = [0, 20, 50]
    data.save_as(path)
    assert [f.time_s for f in read_pictures(path)] == pytest.approx([0, 0.02, 0.07])


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small.dcm"])
def test_measurements_are_no_pictures(name):
    with pytest.raises(NotUsedError, match="Image Storage, not a picture of a display"):
        read_picture_header(real(name))
    with refused(real(name), "Image Storage", "not a picture"):
        list(read_pictures(real(name)))


def test_a_ct_without_a_sop_class_is_named_by_its_modality(tmp_path):
    folder = save(tmp_path / "ct", slices(SOPClassUID=None)[:1])
    with pytest.raises(NotUsedError, match="CT, not a picture"):
        read_picture_header(next(folder.iterdir()))


def test_headers_without_pixels_or_with_nonsense_are_refused(tmp_path):
    with pytest.raises(NotUsedError, match="it has no pixels"):
        read_picture_header(changed(tmp_path / "a", Rows=0))
    path = write_dicom_picture(tmp_path / "b", [GRAY] * 2, seed=0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"IS\x02\x002 ", b"IS\x02\x00x "))  # the number of frames
    with pytest.raises(NotUsedError, match="its header is damaged"):
        read_picture_header(path)
    (tmp_path / "c.dcm").write_bytes(b"no DICOM at all")
    with refused(tmp_path / "c.dcm", "not a DICOM file"):
        list(read_pictures(tmp_path / "c.dcm"))


def test_a_truncated_picture_is_refused_in_one_line(tmp_path):
    path = tmp_path / "a.dcm"
    shutil.copy(real("examples_palette.dcm"), path)
    path.write_bytes(path.read_bytes()[:-60_000])
    with refused(path, "its pixels cannot be decoded", hint="fetch"):
        list(read_pictures(path))


def test_pixels_of_another_shape_than_the_header_says_are_refused(tmp_path, monkeypatch):
    path = write_dicom_picture(tmp_path / "a.dcm", [GRAY], seed=0)
    monkeypatch.setattr("core.io.dicom.picture.pictures", lambda *_: iter([COLOR.array]))
    with refused(path, (5, 7, 3), (12, 16)):
        list(read_pictures(path))


def test_a_missing_decoder_is_named(tmp_path, monkeypatch):
    path = changed(tmp_path / "a.dcm", PixelData=encapsulate([b"\0" * 8]))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = JPEGLSLossless
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    decoder = type("Decoder", (), {"is_available": False})
    monkeypatch.setattr("core.io.dicom.pixels.get_decoder", lambda _: decoder)
    with refused(path, "JPEG-LS Lossless", hint="pip install"):
        list(read_pictures(path))


@pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="needs PyAV")
def test_a_film_inside_dicom_is_read_frame_by_frame(tmp_path):
    from tests.core.io.image.test_video import LEVELS, clip

    film = clip(tmp_path / "film.mp4", codec="mpeg4").read_bytes()
    path = write_dicom_picture(tmp_path / "a.dcm", [COLOR] * 4, seed=0)
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = MPEG4HP41
    data.Rows, data.Columns, data.PixelData = 48, 64, encapsulate([film])
    data["PixelData"].is_undefined_length = True
    data.save_as(path)
    frames = list(read_pictures(path))
    assert [f.time_s for f in frames] == pytest.approx([0, 0.04, 0.08, 0.12])
    # Lossy, and RGB to YCbCr and back rounds twice: a few gray levels.
    np.testing.assert_allclose([float(f.gray().mean()) for f in frames], LEVELS, atol=6)
