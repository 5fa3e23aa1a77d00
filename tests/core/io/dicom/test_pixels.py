import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from core.errors import InputError
from core.io.dicom import pixels
from core.io.dicom.pixels import read_hu
from tests.core.io.dicom.look import find, read
from tests.core.io.dicom.make import hu, save, slices, undecodable


def test_rescale_is_per_file_and_exact_where_it_can_be(tmp_path):
    datasets = slices()
    for k, d in enumerate(datasets):
        d.RescaleSlope, d.RescaleIntercept = k % 2 + 1, -1024 - k
    stored = hu().astype(int) + 1024
    k = np.arange(10)[:, None, None]
    volume = read(save(tmp_path / "a", datasets))
    np.testing.assert_array_equal(volume.array, stored * (k % 2 + 1) - 1024 - k)
    assert volume.array.dtype == np.int16
    halves = read(save(tmp_path / "b", slices(RescaleSlope=0.5)))
    np.testing.assert_array_equal(halves.array, stored * np.float32(0.5) - 1024)
    assert halves.array.dtype == np.float32


def test_missing_rescale_and_lost_air_are_told(tmp_path, caplog):
    volume = read(save(tmp_path, slices(RescaleSlope=None, RescaleIntercept=None)))
    np.testing.assert_array_equal(volume.array, hu() + 1024)
    assert "no rescale values" in caplog.text
    assert "is an offset missing?" in caplog.text


@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_becomes_air_also_where_it_was_written_unsigned(tmp_path, padding):
    datasets = slices()
    for d in datasets:
        stored = np.frombuffer(d.PixelData, np.int16).copy()
        stored[:4] = -2000
        d.PixelData = stored.tobytes()
        d.add_new("PixelPaddingValue", "US" if padding > 0 else "SS", padding)
    array = read(save(tmp_path, datasets)).array
    assert (array[:, 0, :4] == -1024).all()
    np.testing.assert_array_equal(array[:, 1:], hu()[:, 1:])


def test_padding_that_reads_as_tissue_is_left(tmp_path):
    datasets = slices()
    for d in datasets:
        d.add_new("PixelPaddingValue", "SS", 1024)  # 0 HU: water
    np.testing.assert_array_equal(read(save(tmp_path, datasets)).array, hu())


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_lossless_compression_changes_nothing(tmp_path, syntax):
    values = hu((10, 64, 48))  # JPEG 2000 needs a few dozen pixels
    datasets = slices(values, PixelRepresentation=0)
    for d in datasets:
        d.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read(save(tmp_path, datasets)).array, values)


def test_a_missing_decoder_names_the_extra(tmp_path, monkeypatch):
    (volume,), _ = find(save(tmp_path, slices()))

    class Missing:
        is_available = False

    monkeypatch.setattr(pixels, "get_decoder", lambda syntax: Missing)
    message = r"compressed as Explicit VR Little Endian, and .* pip install 'panjax\[dicom\]'"
    with pytest.raises(InputError, match=message):
        read_hu(volume)


def test_an_unknown_compression_is_named(tmp_path):
    datasets = slices()
    for d in datasets:
        d.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # a video
        d.PixelData = encapsulate([bytes(20)])
        d["PixelData"].is_undefined_length = True
    (volume,), _ = find(save(tmp_path, datasets))
    with pytest.raises(InputError, match="unknown compression MPEG-4"):
        read_hu(volume)


def test_lossy_compression_is_told(tmp_path, caplog):
    read(save(tmp_path, slices(LossyImageCompression="01")))
    assert "compressed with loss" in caplog.text


def test_pixels_that_cannot_be_decoded_are_named(tmp_path):
    (volume,), _ = find(save(tmp_path, undecodable(slices()), order=range(10)))
    with pytest.raises(
        InputError, match=r"I000: its pixels cannot be decoded .*the slice is missing"
    ):
        read_hu(volume)


def test_pixels_of_another_shape_are_refused(tmp_path):
    (volume,), _ = find(save(tmp_path, slices()))
    data = pydicom.dcmread(volume[0].path)
    data.Rows, data.Columns = 8, 6
    data.save_as(volume[0].path)
    with pytest.raises(InputError, match=r"shape \(8, 6\), not \(6, 8\)"):
        read_hu(volume)
