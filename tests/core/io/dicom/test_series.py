import highdicom
import numpy as np
import pytest
from pydicom.uid import generate_uid

from core.io.dicom.pixels import read_hu
from core.io.dicom.warnings import quiet
from tests.core.io.dicom.look import find, find_volumes, read, refusal
from tests.core.io.dicom.make import CORONAL, hu, save, slices, undecodable


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


@pytest.mark.parametrize("min_slices", [0, 1, 2])
def test_one_slice_has_no_spacing_and_is_no_volume(tmp_path, min_slices):
    save(tmp_path / "one", slices(hu()[:1]))
    save(tmp_path / "two", slices(hu()[:2], series="B"))
    volumes, (alone,) = find_volumes(tmp_path, min_slices=min_slices)
    assert [len(v) for v in volumes] == [2]
    assert alone.reason.endswith("too few for a volume, which needs at least 2")


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
