import contextlib
import gzip
import itertools
import shutil

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path as nibabel_files

from core.errors import InputError
from core.io import nifti
from core.volume import RAS_FROM_LPS, Volume, canonical, from_affine_lps, orientation

LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def hu(shape=(4, 5, 6), seed=0):
    return np.random.default_rng(seed).integers(-1000, 2000, shape, np.int16)


def save(path, array, *, affine=None, **fields):
    """A file written by nibabel from (x, y, z), with header fields set as given."""
    image = nib.Nifti1Image(array, np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    if fields:
        raw = bytearray(path.read_bytes())
        header = nib.Nifti1Header(bytes(raw[:348]))
        for name, value in fields.items():
            header[name] = value
        raw[:348] = header.binaryblock
        path.write_bytes(raw)
    return path


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


def test_trailing_axes_of_one_are_dropped_and_written_back(tmp_path):
    path = save(tmp_path / "a.nii.gz", hu()[..., None])
    volume = nifti.read(path)
    assert volume.shape == (6, 5, 4)
    again = nifti.write_like(tmp_path / "b.nii.gz", volume.array, path)
    assert nib.load(again).shape == (4, 5, 6, 1)


def test_qform_serves_where_there_is_no_sform(tmp_path):
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])
    path = save(tmp_path / "a.nii", hu(), affine=affine, sform_code=0, qform_code=2)
    assert orientation(nifti.read(path)) == "SPL"
    again = nib.load(nifti.write_like(tmp_path / "b.nii", nifti.read(path).array, path))
    assert (int(again.header["sform_code"]), int(again.header["qform_code"])) == (0, 2)


def test_no_orientation_at_all_is_ras_with_a_warning(tmp_path, caplog):
    path = save(tmp_path / "a.nii", hu(), affine=np.diag([2, 3, 4, 1]), sform_code=0, qform_code=0)
    volume = nifti.read(path)
    assert orientation(volume) == "SAR"
    assert volume.spacing_mm == (4, 3, 2)
    assert "no orientation" in caplog.text


def test_small_disagreement_of_sform_and_qform_warns_and_takes_the_sform(tmp_path, caplog):
    path = save(tmp_path / "a.nii", hu(), qform_code=1, qoffset_x=0.5)
    assert nifti.read(path).origin_mm == (0, 0, 0)
    assert "sform and qform differ by 0.5" in caplog.text


def test_write_like_carries_no_text_and_no_extension(shared_data, tmp_path):
    source = shared_data / "ct_abdomen" / "example_ct_sm_seg.nii.gz"
    path = nifti.write_like(tmp_path / "a.nii.gz", nifti.read_label(source).array, source)
    assert len(nib.load(source).header.extensions) == 1
    assert len(nib.load(path).header.extensions) == 0
    np.testing.assert_array_equal(nib.load(path).affine, nib.load(source).affine)
    named = save(tmp_path / "b.nii", hu(), descrip=b"DOE^JOHN")
    clean = nifti.write_like(tmp_path / "c.nii", nifti.read(named).array, named)
    assert b"DOE" not in clean.read_bytes()


def test_write_like_refuses_another_shape(tmp_path):
    path = save(tmp_path / "a.nii", hu())
    with pytest.raises(ValueError, match="does not fit"):
        nifti.write_like(tmp_path / "b.nii", np.zeros((4, 5, 6), np.uint8), path)


def test_equal_voxels_give_equal_bytes(tmp_path):
    volume = Volume(hu(), (1, 2, 3), (4, 5, 6), np.eye(3))
    first, second = (nifti.write(tmp_path / n, volume) for n in ("a.nii.gz", "b.nii.gz"))
    assert first.read_bytes() == second.read_bytes()


def test_a_mask_is_stored_as_uint8(tmp_path):
    path = nifti.write(tmp_path / "a.nii", Volume(hu() > 0, (1, 2, 3), (4, 5, 6), np.eye(3)))
    assert nib.load(path).get_data_dtype() == np.uint8
    np.testing.assert_array_equal(nifti.read_label(path).array, hu() > 0)


def test_a_sheared_grid_survives(tmp_path):
    direction = np.array([[0, 0, 1], [np.sin(0.3), 1, 0], [np.cos(0.3), 0, 0]])
    path = nifti.write(tmp_path / "a.nii", Volume(hu(), (2, 1, 1), (0, 0, 0), direction))
    np.testing.assert_allclose(nifti.read(path).direction, direction, atol=1e-6)  # float32 header


def test_whole_floats_are_labels_and_ids_above_255_are_int16(tmp_path):
    floats = save(tmp_path / "a.nii.gz", np.arange(24.0).reshape(2, 3, 4))
    label = nifti.read_label(floats)
    assert label.array.dtype == np.uint8
    np.testing.assert_array_equal(label.array, np.arange(24).reshape(2, 3, 4).T)
    many = save(tmp_path / "b.nii", np.array([0, 300, -1], np.int32).reshape(1, 1, 3))
    assert nifti.read_label(many).array.ravel().tolist() == [0, 300, -1]


@pytest.mark.parametrize("value", [0.9999, np.nan, 40000.0])
def test_label_values_that_are_no_small_whole_number_are_refused(tmp_path, value):
    path = save(tmp_path / "a.nii", np.full((2, 2, 2), value))
    with pytest.raises(InputError, match="a label must be a whole number"):
        nifti.read_label(path)


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (LFS_POINTER, "Git LFS pointer"),
        (b"\x00\x05\x16\x07" + bytes(400), "macOS shadow file"),
        (b"<!DOCTYPE html><html>", "not a NIfTI image"),
        (gzip.compress(b"hello"), "not a NIfTI image"),
        ((348).to_bytes(4, "little") + bytes(20), "the NIfTI header is damaged"),
    ],
    # Named by hand: gzip writes the time into its header, and every worker must see the same names.
    ids=["empty", "pointer", "shadow", "page", "gzipped text", "short header"],
)
def test_what_is_not_an_image_is_named(tmp_path, content, message):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        nifti.read(path)


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        nifti.read(tmp_path / "a.nii")
    with pytest.raises(InputError, match="cannot be read"):
        nifti.read(tmp_path)


def test_headers_that_cannot_be_one_ct_are_refused(tmp_path):
    rgb = np.zeros((2, 2, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    cases = {
        r"several volumes in one file": save(tmp_path / "a.nii", np.zeros((2, 2, 2, 3), np.int16)),
        r"shape \(2, 2\)": save(tmp_path / "b.nii", np.zeros((2, 2), np.int16)),
        r"voxels are colors": save(tmp_path / "c.nii", rgb),
        r"complex64 numbers": save(tmp_path / "d.nii", np.zeros((2, 2, 2), np.complex64)),
        r"unknown voxel type": save(tmp_path / "e.nii", hu(), datatype=77),
        r"meters or microns": save(tmp_path / "f.nii", hu(), xyzt_units=1),
        r"too small for the shape": save(
            tmp_path / "g.nii", hu(), dim=[3, 9999, 9999, 999, 1, 1, 1, 1]
        ),
        r"damaged \(voxels at byte inf": save(tmp_path / "l.nii", hu(), vox_offset=np.inf),
        r"the sform or qform is no number": save(tmp_path / "m.nii", hu(), srow_x=[np.nan] * 4),
        r"separate .img file": save(tmp_path / "h.nii", hu(), magic=b"ni1"),
        r"the qform is damaged": save(tmp_path / "i.nii", hu(), qform_code=1, quatern_b=5),
        r"the geometry is damaged": save(tmp_path / "j.nii", hu(), srow_x=np.zeros(4)),
        r"sform says RAS and qform says LAS": save(
            tmp_path / "k.nii", hu(), qform_code=1, quatern_c=1, pixdim=[-1, 1, 1, 1, 0, 0, 0, 0]
        ),
    }
    for message, path in cases.items():
        with pytest.raises(InputError, match=message):
            nifti.read(path)


def test_nibabels_own_files_are_read_or_refused_in_one_line(capfd):
    seen = {}
    for name in ("anatomical.nii", "functional.nii", "standard.nii.gz", "nifti1.hdr", "test.mgz"):
        try:
            seen[name] = nifti.read(nibabel_files / name).shape
        except InputError as error:
            seen[name] = error.message.split(",")[0].split(";")[0]
    assert seen == {
        "anatomical.nii": (25, 41, 33),
        "functional.nii": "the image has 4 axes (17",
        "standard.nii.gz": (7, 5, 4),
        "nifti1.hdr": "voxels lie in a separate .img file",
        "test.mgz": "not a NIfTI image",
    }
    assert capfd.readouterr() == ("", "")


def test_any_damage_to_the_header_is_one_line(tmp_path):
    good = nifti.write(tmp_path / "a.nii", Volume(hu(), (1, 2, 3), (4, 5, 6), np.eye(3)))
    rng, path = np.random.default_rng(0), tmp_path / "b.nii"
    for _ in range(300):
        data = bytearray(good.read_bytes())
        for position in rng.integers(0, 352, 4):
            data[position] = rng.integers(256)
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            nifti.read(path)
        with contextlib.suppress(InputError):
            nifti.read_label(path)
