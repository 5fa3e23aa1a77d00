import contextlib
import gzip

import nibabel as nib
import numpy as np
import pytest
from nibabel.testing import data_path as nibabel_files

from core.errors import InputError
from core.io import nifti
from core.volume import Volume, orientation
from tests.core.io.nifti_files import hu, save


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


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (LFS_POINTER, "Git LFS pointer"),
        (b"\x00\x05\x16\x07" + bytes(400), "macOS shadow file"),
        (b"<!DOCTYPE html><html>", "not a NIfTI image"),
        (gzip.compress(b"hello"), "packed with gzip, and neither NIfTI"),
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
    headers = {}
    for name in ("anatomical.nii", "functional.nii", "standard.nii.gz", "nifti1.hdr", "test.mgz"):
        try:
            headers[name] = nifti.read(nibabel_files / name).shape
        except InputError as error:
            headers[name] = error.message.split(",")[0].split(";")[0]
    assert headers == {
        "anatomical.nii": "no CT in HU: neither air nor fat is below 0",  # MR
        "functional.nii": "the image has 4 axes (17",
        "standard.nii.gz": (7, 5, 4),
        "nifti1.hdr": "voxels lie in a separate .img file",
        "test.mgz": "a FreeSurfer volume (MGZ)",
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
