import contextlib

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from core.errors import InputError
from core.io.dicom import pixels
from core.io.dicom.grid import grid
from core.io.dicom.pixels import read_hu
from core.io.dicom.quiet import quiet
from core.volume import orientation
from tests.core.io.dicom.make import (
    AXIAL,
    CORONAL,
    SAGITTAL,
    SECRET,
    find_volumes,
    hu,
    save,
    slices,
)


def find(folder, min_slices=8):
    volumes, skipped = find_volumes(folder, min_slices=min_slices)
    assert "SECRET" not in repr(volumes) + repr(skipped)
    return volumes, [s.reason for s in skipped]


def read(folder, **kwargs):
    (volume,), reasons = find(folder, **kwargs)
    assert reasons == []
    return grid(volume).with_array(read_hu(volume))


def refusal(folder, **kwargs):
    volumes, (reason,) = find(folder, **kwargs)
    assert volumes == []
    return reason


@pytest.mark.parametrize(("axes", "letters"), [(AXIAL, "SPL"), (CORONAL, "PIL"), (SAGITTAL, "RIP")])
def test_voxels_and_affine_follow_the_positions_not_the_names(tmp_path, axes, letters):
    volume = read(save(tmp_path, slices(orientation=axes)))
    np.testing.assert_array_equal(volume.array, hu())
    assert volume.array.dtype == np.int16
    assert volume.spacing_mm == pytest.approx((2.5, 0.7, 0.8))
    assert volume.origin_mm == (-50, -60, -70)
    assert orientation(volume) == letters
    # Rows run along the second vector of the orientation, columns along the first.
    expected = np.stack([np.cross(axes[:3], axes[3:]), axes[3:], axes[:3]], axis=1)
    np.testing.assert_allclose(volume.direction, expected, atol=1e-12)


def test_slices_ascend_along_the_normal_whatever_their_numbers(tmp_path):
    down = slices(step_mm=(0, 0, -2.5))
    volume = read(save(tmp_path, down))
    np.testing.assert_array_equal(volume.array, hu()[::-1])
    assert volume.origin_mm == (-50, -60, -70 - 9 * 2.5)
    assert np.linalg.det(volume.direction[:, ::-1]) == pytest.approx(1)  # x, y, z right-handed


def test_rounded_positions_are_one_grid(tmp_path):
    datasets = slices()
    for k, d in enumerate(datasets):
        d.ImagePositionPatient[2] += 0.04 * (-1) ** k
    assert read(save(tmp_path, datasets)).spacing_mm[0] == pytest.approx(2.5, abs=0.01)


def test_a_description_is_kept_and_no_patient(tmp_path):
    (volume,), _ = find(save(tmp_path, slices()))
    assert volume[0].description == "venous"
    assert SECRET not in repr(volume)


@pytest.mark.parametrize("charset", ["GB18030", "ISO_IR 100", "NONSENSE", ""])
def test_text_in_another_character_set_never_stops_a_volume(tmp_path, charset):
    folder = save(tmp_path, slices(SpecificCharacterSet="GB18030", SeriesDescription="静脉期"))
    for path in folder.iterdir():
        same_length = charset.ljust(8).encode()[:8]
        path.write_bytes(path.read_bytes().replace(b"GB18030 ", same_length))
    (volume,), _ = find(folder)
    np.testing.assert_array_equal(read_hu(volume), hu())
    assert (volume[0].description == "静脉期") == (charset == "GB18030")


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


def test_enhanced_multi_frame_equals_the_single_frames(tmp_path):
    datasets = slices()
    expected = read(save(tmp_path / "single", datasets))
    with quiet():
        enhanced = highdicom.legacy.LegacyConvertedEnhancedCTImage(
            datasets[::-1], generate_uid(), 1, generate_uid(), 1
        )
        (tmp_path / "multi").mkdir()
        enhanced.save_as(tmp_path / "multi" / "image")
    volume = read(tmp_path / "multi")
    np.testing.assert_array_equal(volume.array, expected.array)
    np.testing.assert_allclose(volume.affine_lps, expected.affine_lps)


def test_two_phases_in_one_series_are_two_volumes(tmp_path):
    venous = hu(seed=1)
    both = slices() + slices(venous, AcquisitionNumber=2)
    for number, d in enumerate(both):
        d.SOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
    volumes, reasons = find(save(tmp_path, both))
    assert reasons == []
    np.testing.assert_array_equal(
        read_hu(volumes[0] + volumes[1]).reshape(2, 10, 6, 8).sum(0), hu() + venous
    )
    assert {len({f.split_keys for f in v}) for v in volumes} == {1}


def test_two_orientations_in_one_series_are_two_volumes(tmp_path):
    volumes, reasons = find(save(tmp_path, slices() + slices(orientation=CORONAL)))
    assert [len(v) for v in volumes] == [10, 10]
    assert reasons == []


def test_duplicates_are_dropped_once_each(tmp_path):
    datasets = slices()
    copies = slices()[:2]
    copies[1].SOPInstanceUID = generate_uid()  # another object with equal pixels
    (volume,), reasons = find(save(tmp_path, datasets + copies, order=range(12)))
    np.testing.assert_array_equal(read_hu(volume), hu())
    assert reasons == ["a duplicate of I000", "a duplicate of I001"]


def undecodable(datasets):
    """Fragments that are whole, and no pixels."""
    for d in datasets:
        d.file_meta.TransferSyntaxUID = RLELossless
        d.PixelData = encapsulate([bytes(20)])
        d["PixelData"].is_undefined_length = True
    return datasets


def test_a_copy_that_cannot_be_decoded_is_no_duplicate(tmp_path):
    (copy,) = undecodable(slices()[:1])
    copy.SOPInstanceUID = generate_uid()
    assert "slices share a position" in refusal(save(tmp_path, [*slices(), copy]))


def test_different_pixels_at_one_position_are_refused(tmp_path):
    other = slices(hu(seed=1))[3]
    other.SOPInstanceUID = generate_uid()
    assert refusal(save(tmp_path, [*slices(), other])) == (
        "series 'venous' of 11 slices: 2 slices share a position: the first pair is at "
        "-62.50 mm along the normal"
    )


def test_a_series_without_uids_is_one_volume_per_folder(tmp_path):
    empty = {"StudyInstanceUID": "", "SeriesInstanceUID": "", "SOPInstanceUID": ""}
    for name in "ab":
        save(tmp_path / name, slices(**empty))
    volumes, reasons = find(tmp_path)
    assert ([len(v) for v in volumes], reasons) == ([10, 10], [])


def test_one_series_over_several_folders_is_one_volume(tmp_path):
    datasets = slices()
    save(tmp_path / "a", datasets[:5])
    save(tmp_path / "b", datasets[5:])
    np.testing.assert_array_equal(read(tmp_path).array, hu())


def test_files_without_preamble_are_read(tmp_path):
    save(tmp_path, slices())
    for path in sorted(tmp_path.iterdir()):
        data = pydicom.dcmread(path)
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.preamble = None
        data.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[:2] == b"\x08\x00"
    np.testing.assert_array_equal(read(tmp_path).array, hu())


def tilted(angle_deg):
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return (1, 0, 0, 0, c, -s)


def moved(datasets, shifts_mm):
    for k, shift in shifts_mm.items():
        datasets[k].ImagePositionPatient[2] += shift
    return datasets


REFUSED = {
    "gap": (
        [d for k, d in enumerate(slices()) if k != 4],
        "slices are missing between -62.50 and -57.50 mm (the usual step is 2.50 mm)",
    ),
    "tilt": (
        slices(orientation=tilted(10), step_mm=(0, 0, 5)),
        f"gantry tilt of 10.0 degrees: each slice is shifted by "
        f"{5 * np.sin(np.radians(10)):.2f} mm against the one below",
    ),
    "steps": (
        moved(slices(), {8: 0.5, 9: 1.0}),
        "the distance between slices varies from 2.50 to 3.00 mm",
    ),
    "vectors": (
        slices(orientation=(1, 0, 0, 0.5, 1, 0)),
        "its rows and columns are not perpendicular unit vectors",
    ),
    "spacing": (slices(spacing_mm=(0.0, 0.7)), "its pixel spacing is not positive"),
    "few": (slices(hu()[:7]), "too few for a volume, which needs at least 8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_regular_grid_is_refused_with_its_millimeters(tmp_path, name):
    datasets, reason = REFUSED[name]
    assert (
        refusal(save(tmp_path, datasets)) == f"series 'venous' of {len(datasets)} slices: {reason}"
    )


def test_a_curved_stack_is_refused(tmp_path):
    datasets = slices(hu((40, 6, 8)))
    for k, d in enumerate(datasets):
        d.ImagePositionPatient[0] += 3 * np.sin(np.pi * k / 39)
    assert "slices lie up to 3.00 mm off a straight regular stack" in refusal(
        save(tmp_path, datasets)
    )


FOREIGN = {
    "a localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    "a projection through slices, not a slice": {"ImageType": ["DERIVED", "SECONDARY", "MIP"]},
    "Secondary Capture Image Storage, not a CT image": {
        "SOPClassUID": SecondaryCaptureImageStorage
    },
    "no SOP class, and the modality is not CT": {"SOPClassUID": "", "Modality": "MR"},
    "it has no pixels": {"Rows": None},
    "its pixels are RGB, not HU": {"PhotometricInterpretation": "RGB"},
    "its pixels have 8 bits: gray values of a display, not HU": {"BitsAllocated": 8},
    "it has no position, orientation or pixel spacing": {"ImagePositionPatient": None},
    "it has several images without a position each": {"NumberOfFrames": 3},
    "its header is damaged": {"ImagePositionPatient": ["1", "2", "x"]},
}


@pytest.mark.parametrize("reason", FOREIGN)
def test_files_that_are_no_ct_slice_have_their_reason(tmp_path, reason):
    save(tmp_path / "good", slices())
    with quiet():
        (foreign,) = slices(hu((1, 6, 8)), series="B")
        for name, value in FOREIGN[reason].items():
            if value == ["1", "2", "x"]:
                foreign.ImagePositionPatient = ["1", "2", "3"]
            elif value is None:
                delattr(foreign, name)
            else:
                setattr(foreign, name, value)
        save(tmp_path / "foreign", [foreign])
    if "damaged" in reason:
        path = tmp_path / "foreign" / "I000"
        path.write_bytes(path.read_bytes().replace(b"1\\2\\3 ", b"1\\2\\x "))
    volumes, reasons = find(tmp_path)
    assert [len(v) for v in volumes] == [10]
    assert reasons == [reason]


def test_a_position_that_is_no_number_is_damage(tmp_path):
    folder = save(tmp_path, slices(), order=range(10))
    path = folder / "I000"
    path.write_bytes(path.read_bytes().replace(b"-60.0", b"nan  "))
    volumes, reasons = find(folder)
    assert ([len(v) for v in volumes], reasons) == ([9], ["its header is damaged"])


def test_files_that_are_no_dicom_have_their_reason(tmp_path):
    save(tmp_path, slices())
    junk = {
        "Thumbs.db": b"\xd0\xcf\x11\xe0" + bytes(600),
        "empty": b"",
        "note.txt": b"hello",
        "two": b"\x08\x00" + bytes(10),
    }
    for name, content in junk.items():
        (tmp_path / name).write_bytes(content)
    volumes, reasons = find(tmp_path)
    assert len(volumes) == 1
    assert reasons == ["not a DICOM file"] * 4


def test_a_file_that_cannot_be_read_has_its_reason(tmp_path):
    save(tmp_path, slices())
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    _, (skipped,) = find_volumes(tmp_path, min_slices=8)
    assert skipped.reason == "it cannot be read (No such file or directory)"
    assert skipped.is_broken


def test_pixels_that_cannot_be_decoded_are_named(tmp_path):
    (volume,), _ = find(save(tmp_path, undecodable(slices()), order=range(10)))
    with pytest.raises(
        InputError, match=r"I000: its pixels cannot be decoded .*the slice is missing"
    ):
        read_hu(volume)


def cut(path, num_bytes):
    path.write_bytes(path.read_bytes()[:num_bytes])


def test_a_truncated_slice_is_missing_before_any_pixel_is_read(tmp_path):
    folder = save(tmp_path, slices(), order=range(10))
    cut(folder / "I004", -20)
    volumes, skipped = find_volumes(folder, min_slices=8)
    assert volumes == []
    assert [(s.path.name, s.is_broken) for s in skipped] == [(tmp_path.name, False), ("I004", True)]
    assert "slices are missing between -62.50 and -57.50 mm" in skipped[0].reason
    need = 6 * 8 * 2
    assert skipped[1].reason == f"truncated: {need - 20} of the {need} bytes of its pixels"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_a_truncated_last_slice_leaves_a_shorter_volume(tmp_path, syntax):
    datasets = slices(PixelRepresentation=0)
    for d in datasets:
        if syntax == RLELossless:
            d.compress(syntax, generate_instance_uid=False)
        d.file_meta.TransferSyntaxUID = syntax
    for name, d in enumerate(datasets):
        d.save_as(tmp_path / f"I{name:03d}")
    cut(tmp_path / "I009", -20)
    (volume,), (skipped,) = find_volumes(tmp_path, min_slices=8)
    assert len(volume) == 9
    assert (skipped.path.name, skipped.is_broken) == ("I009", True)
    assert skipped.reason.startswith("truncated: ")


def test_a_file_without_its_pixels_is_truncated(tmp_path):
    folder = save(tmp_path, slices(), order=range(10))
    start = (folder / "I009").read_bytes().index(b"\xe0\x7f\x10\x00OW")
    for length in (start, start + 6):
        cut(folder / "I009", length)
        assert find(folder)[1] == ["truncated: it ends before its pixels"]


def test_fragments_without_their_delimiter_are_truncated(tmp_path):
    datasets = slices(PixelRepresentation=0)
    for d in datasets:
        d.compress(RLELossless, generate_instance_uid=False)
    for path in save(tmp_path, datasets).iterdir():
        assert path.read_bytes()[-8:] == b"\xfe\xff\xdd\xe0" + bytes(4)
        cut(path, -8)
    assert find(tmp_path)[1] == ["truncated: its last pixels are missing"] * 10


def test_pixels_of_another_shape_are_refused(tmp_path):
    (volume,), _ = find(save(tmp_path, slices()))
    data = pydicom.dcmread(volume[0].path)
    data.Rows, data.Columns = 8, 6
    data.save_as(volume[0].path)
    with pytest.raises(InputError, match=r"shape \(8, 6\), not \(6, 8\)"):
        read_hu(volume)


def test_any_damage_to_a_file_is_one_line(tmp_path):
    folder = save(tmp_path, slices(), order=range(10))
    rng, path = np.random.default_rng(0), folder / "I004"
    good = path.read_bytes()
    for k in range(150):
        data = bytearray(good)
        for position in rng.integers(0, len(data), 4):
            data[position] = rng.integers(256)
        path.write_bytes(data[: rng.integers(1, len(data))] if k % 5 == 0 else data)
        volumes, _ = find_volumes(folder, min_slices=8)
        for volume in volumes:
            with contextlib.suppress(InputError):
                grid(volume).with_array(read_hu(volume))
