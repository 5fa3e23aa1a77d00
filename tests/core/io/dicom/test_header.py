import contextlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import SecondaryCaptureImageStorage

from core.errors import InputError
from core.io.dicom.geometry import grid
from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from tests.core.io.dicom.look import find, find_volumes, read
from tests.core.io.dicom.make import SECRET, hu, save, slices


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


def test_files_without_preamble_are_read(tmp_path):
    save(tmp_path, slices())
    for path in sorted(tmp_path.iterdir()):
        data = pydicom.dcmread(path)
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.preamble = None
        data.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[:2] == b"\x08\x00"
    np.testing.assert_array_equal(read(tmp_path).array, hu())


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
