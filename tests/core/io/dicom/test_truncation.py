import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from tests.core.io.dicom.look import find, find_volumes
from tests.core.io.dicom.make import save, slices


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
