import itertools
import shutil

import nibabel as nib
import numpy as np
import pytest

from core.errors import InputError
from core.io import nifti
from core.volume import RAS_FROM_LPS, canonical, from_affine_lps, orientation
from tests.core.io.nifti_files import hu, save
from tests.refusals import refused


def test_read_agrees_with_nibabel_on_real_files(shared_data):
    for path in sorted((shared_data / "ct_abdomen").glob("*.nii.gz")):
        read = nifti.read_label if "seg" in path.name else nifti.read
        volume, image = read(path), nib.load(path)
        np.testing.assert_array_equal(volume.array, np.asarray(image.dataobj).T)
        affine_ras = RAS_FROM_LPS @ volume.affine_lps[:, [2, 1, 0, 3]]
        np.testing.assert_allclose(affine_ras, image.affine, atol=1e-12)


def test_integer_ct_becomes_int16_and_labels_uint8(shared_data):
    folder = shared_data / "ct_abdomen"
    assert nifti.read(folder / "example_ct.nii.gz").array.dtype == np.int16  # stored as int32
    assert nifti.read_label(folder / "example_ct_seg.nii.gz").array.dtype == np.uint8


ORIENTATIONS = [
    (axes, signs)
    for axes in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("axes", "signs"), ORIENTATIONS)
def test_every_orientation_returns_to_the_same_patient_and_to_its_own_file(tmp_path, axes, signs):
    truth = from_affine_lps(
        hu(), np.array([[0, 0, 2, 5], [0, 3, 0, 6], [4, 0, 0, 7], [0, 0, 0, 1]])
    )
    affine = truth.affine_lps[:, [*axes, 3]]
    array = truth.array.transpose(axes)
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
            array = np.flip(array, axis)
    path = nifti.write(tmp_path / "a.nii.gz", from_affine_lps(array, affine))
    volume = nifti.read(path)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_array_equal(canonical(volume).array, truth.array)
    np.testing.assert_allclose(canonical(volume).affine_lps, truth.affine_lps, atol=1e-6)
    again = nifti.write_like(tmp_path / "b.nii.gz", volume.array, path)
    assert nib.load(again).header == nib.load(path).header
    # nibabel, an independent reader, sees the axes run where we say they run.
    codes = nib.aff2axcodes(nib.load(path).affine)
    assert "".join(codes) == orientation(volume)[::-1]


def test_content_decides_not_the_suffix(tmp_path):
    plain, packed = save(tmp_path / "a.nii", hu()), save(tmp_path / "b.nii.gz", hu())
    expected = nifti.read(plain).array
    for source, name in ((plain, "c.nii.gz"), (packed, "d.nii"), (plain, "e"), (packed, "f.dat")):
        target = tmp_path / name
        shutil.copy(source, target)
        np.testing.assert_array_equal(nifti.read(target).array, expected)


def test_slope_and_intercept_apply_unless_zero_or_no_number(tmp_path):
    stored = np.abs(hu()) % 1000
    for slope, inter, expected in (
        (1, -1024, stored - 1024),
        (0.5, -100, stored * np.float32(0.5) - 100),
        (0, 7, stored),
        (np.nan, 7, stored),
        (2, np.nan, stored * 2),
    ):
        path = save(tmp_path / "a.nii", stored, scl_slope=slope, scl_inter=inter)
        array = nifti.read(path).array
        np.testing.assert_array_equal(array, expected.T)
        assert array.dtype == (np.float32 if slope == 0.5 else np.int16)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_every_real_voxel_type_is_read(tmp_path, dtype):
    stored = np.arange(24, dtype=dtype).reshape(2, 3, 4) + dtype(100)
    array = nifti.read(save(tmp_path / "a.nii.gz", stored)).array
    np.testing.assert_array_equal(array, stored.T)
    assert array.dtype == (np.float32 if np.dtype(dtype).kind == "f" else np.int16)


def test_integers_beyond_int16_become_float32(tmp_path):
    stored = np.zeros((2, 3, 4), np.int32)
    stored[..., 2] = 40000  # the third slice: earlier ones fit int16
    array = nifti.read(save(tmp_path / "a.nii", stored)).array
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, stored.T)


def test_big_endian_and_nifti2_are_read_and_kept(tmp_path):
    big = nib.Nifti1Image(hu(), np.eye(4), nib.Nifti1Header(endianness=">"))
    two = nib.Nifti2Image(hu(), np.eye(4))
    for image in (big, two):
        path = tmp_path / "a.nii"
        nib.save(image, path)
        volume = nifti.read(path)
        np.testing.assert_array_equal(volume.array, hu().T)
        again = nib.load(nifti.write_like(tmp_path / "b.nii", volume.array, path))
        assert type(again) is type(image)
        np.testing.assert_array_equal(np.asarray(again.dataobj), hu())


def test_voxels_that_are_no_number_become_air_with_a_warning(tmp_path, caplog):
    stored = hu().astype(np.float32)
    stored[0, 0, :3] = np.nan, np.inf, -np.inf
    array = nifti.read(save(tmp_path / "a.nii", stored)).array
    assert (array[:3, 0, 0] == nifti.AIR_HU).all()
    assert "3 voxels were no number" in caplog.text


def test_missing_hu_offset_is_told(tmp_path, caplog):
    nifti.read(save(tmp_path / "a.nii", hu() + 1024))
    assert "is an offset missing?" in caplog.text


def test_whole_floats_are_labels_and_ids_above_255_are_int16(tmp_path):
    floats = save(tmp_path / "a.nii.gz", np.arange(24.0).reshape(2, 3, 4))
    label = nifti.read_label(floats)
    assert label.array.dtype == np.uint8
    np.testing.assert_array_equal(label.array, np.arange(24).reshape(2, 3, 4).T)
    many = save(tmp_path / "b.nii", np.array([0, 300, -1], np.int32).reshape(1, 1, 3))
    assert nifti.read_label(many).array.ravel().tolist() == [0, 300, -1]


@pytest.mark.parametrize(("last", "dtype"), [(255, np.uint8), (256, np.int16), (-1, np.int16)])
def test_ids_are_as_wide_as_the_widest_of_any_slice(tmp_path, last, dtype):
    ids = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    ids[..., -1] = last
    label = nifti.read_label(save(tmp_path / "a.nii", ids)).array
    np.testing.assert_array_equal(label, ids.T)
    assert label.dtype == dtype


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.99, "0.99"),
        (1.0012, "1.0012"),
        (1 - 1 / 512, "0.998046875"),
        (0.5, "0.5"),
        (np.nan, "nan"),
        (np.inf, "inf"),
        (40000.0, "40000.0"),
    ],
)
def test_label_values_that_are_no_small_whole_number_are_refused(tmp_path, value, told):
    path = save(tmp_path / "a.nii", np.full((2, 2, 2), value))
    with refused(path, f"a label must be a whole number; found {told}", hint="interpolation"):
        nifti.read_label(path)
    whole = save(tmp_path / "b.nii", np.full((2, 2, 2), 40000, np.uint16))
    with refused(whole, "found 40000", hint="interpolation"):
        nifti.read_label(whole)


@pytest.mark.parametrize("stored_as", [np.uint8, np.int16, np.uint16])
@pytest.mark.parametrize("ids", [[0, 1, 2], [0, 1, 3, 117], [0, 3, 201], [-1, 0, 5], [1, 3, 4]])
def test_labels_that_were_scaled_to_an_integer_type_are_whole(tmp_path, stored_as, ids):
    true = np.resize(ids, (3, 4, 5))
    image = nib.Nifti1Image(true.astype(np.float64), np.eye(4))
    image.header.set_data_dtype(stored_as)
    nib.save(image, tmp_path / "a.nii.gz")  # nibabel chooses a slope, and rounds
    assert not np.array_equal(nib.load(tmp_path / "a.nii.gz").get_fdata(), true)
    np.testing.assert_array_equal(nifti.read_label(tmp_path / "a.nii.gz").array, true.T)


def test_labels_near_whole_numbers_by_arithmetic_are_rounded(tmp_path):
    path = save(tmp_path / "a.nii", np.array([0.9999, 1.9999999, 3.0001], np.float32)[None, None])
    assert nifti.read_label(path).array.ravel().tolist() == [1, 2, 3]


def test_a_slope_does_not_make_an_interpolated_label_whole(tmp_path):
    image = nib.Nifti1Image(np.linspace(0, 2, 60).reshape(3, 4, 5), np.eye(4))
    image.header.set_data_dtype(np.uint8)
    nib.save(image, tmp_path / "a.nii")
    with pytest.raises(InputError, match="a label must be a whole number"):
        nifti.read_label(tmp_path / "a.nii")


def test_the_field_case_of_scaled_labels_is_read(shared_data):
    for path in sorted(
        (shared_data / "field_cases/labels_scaled_by_nibabel/data/labelsTr").iterdir()
    ):
        stored = nib.load(path).get_fdata()
        assert not np.array_equal(stored, np.rint(stored))
        np.testing.assert_array_equal(nifti.read_label(path).array, np.rint(stored).T)


def test_truncated_files_are_told_from_damaged_ones(tmp_path):
    noise = np.random.default_rng(0).integers(-1000, 1000, (30, 30, 30), np.int16)
    packed, plain = save(tmp_path / "a.nii.gz", noise), save(tmp_path / "b.nii", noise)
    data = packed.read_bytes()
    packed.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.nii\.gz: the file is truncated"):
        nifti.read(packed)
    packed.write_bytes(data[:10] + b"\x07" + data[11:])
    with pytest.raises(InputError, match="the gzip data is damaged"):
        nifti.read(packed)
    packed.write_bytes(data[:-8] + bytes(4) + data[-4:])
    with pytest.raises(InputError, match="CRC check failed"):
        nifti.read(packed)
    plain.write_bytes(plain.read_bytes()[:-100])
    with pytest.raises(InputError, match="voxels end in slice 29 of 30"):
        nifti.read(plain)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        nifti.read(tmp_path / "a.nii")
    with pytest.raises(InputError, match="cannot be read"):
        nifti.read(tmp_path)
