"""Formats that are not read say what they are and what to do, and count as lost scans or not."""

import bz2
import gzip
import io
import lzma
import tarfile

import nibabel as nib
import numpy as np
import pytest
import scipy.io

from core.errors import InputError
from core.io import nifti
from core.io.inventory import find_scans, take_inventory
from tests.core.io.dicom.make import hu, save, slices
from tests.core.io.nifti_files import save as save_nifti
from tests.refusals import refused

VOLUME = np.zeros((4, 5, 6), np.float32)
TABLE = np.zeros((4, 5), np.float32)


def arrays(write, *values):
    buffer = io.BytesIO()
    write(buffer, *values)
    return buffer.getvalue()


def tarred(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("I000")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def matlab(array):
    return arrays(lambda buffer: scipy.io.savemat(buffer, {"ct": array}))


MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
DICOM = bytes(128) + b"DICM" + bytes(400)
NIFTI = bytes(nib.Nifti1Image(VOLUME, np.eye(4)).to_bytes())
MGH = np.array([1, 4, 5, 6, 1], ">i4").tobytes() + bytes(400)
ANALYZE = bytes(nib.AnalyzeHeader().binaryblock)
PAIR = nib.Nifti1Header()
PAIR["magic"] = b"ni1"
PROMISED = {
    "a.dcm.gz": (gzip.compress(DICOM), "a DICOM file, packed with gzip; unpack it first (gunzip)"),
    "a.dcm.bz2": (bz2.compress(DICOM), "a DICOM file, packed with bzip2; unpack it first"),
    "a.nii.bz2": (bz2.compress(NIFTI), "a NIfTI image, packed with bzip2; unpack it first"),
    "a.nii.xz": (lzma.compress(NIFTI), "a NIfTI image, packed with xz; unpack it first (unxz)"),
    "a.nii.zst": (b"\x28\xb5\x2f\xfd" + bytes(9), "packed with zstd; unpack it first (unzstd)"),
    "a.tar.gz": (gzip.compress(tarred(DICOM)), "a packed tar archive; unpack it first (tar xf)"),
    "a.tgz": (gzip.compress(tarred(DICOM)), "a packed tar archive; unpack it first (tar xf)"),
    "a.tar.xz": (lzma.compress(tarred(DICOM)), "a packed tar archive; unpack it first (tar xf)"),
    "a.tar": (tarred(DICOM), "a tar archive; unpack it first (tar xf)"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c" + bytes(30), "a 7z archive; unpack it first"),
    "a.rar": (b"Rar!\x1a\x07\x01\x00" + bytes(30), "a rar archive; unpack it first"),
    "a.mgz": (gzip.compress(MGH), "a FreeSurfer volume (MGZ); convert it to NIfTI"),
    "a.mgh": (MGH, "a FreeSurfer volume (MGH); convert it to NIfTI"),
    "a.mnc": (b"\x89HDF\r\n\x1a\n" + bytes(40), "a MINC volume; convert it to NIfTI"),
    "a.iso": (bytes(600), "the image of a disc; open it, and give its folder"),
    "a.hdr": (ANALYZE, "an Analyze 7.5 header, which does not tell left from right; convert it"),
    "b.hdr": (bytes(PAIR.binaryblock), "voxels lie in a separate .img file; make it one .nii"),
    "a.npy": (arrays(np.save, VOLUME), "a NumPy array, without position in space; convert"),
    "a.npz": (arrays(np.savez, TABLE, VOLUME), "NumPy arrays, without position in space"),
    "a.mat": (matlab(VOLUME), "a MATLAB file, without position in space; convert it"),
    "b.mat": (b"MATLAB 7.3 MAT-file" + bytes(600), "a MATLAB file (HDF5); convert it to NIfTI"),
}  # fmt: skip
HARMLESS = {
    "a.npy": (arrays(np.save, TABLE), "a NumPy array, without a volume"),
    "a.npz": (arrays(np.savez, TABLE), "NumPy arrays, without a volume"),
    "a.mat": (matlab(TABLE), "a MATLAB file, without a volume"),
    "a.txt.gz": (gzip.compress(b"hello"), "packed with gzip, and neither NIfTI nor DICOM"),
    "a.img": (bytes(600), "voxels alone, read through the header beside them"),
    "a.txt": (b"hello", "not a DICOM file"),
    "a.png": (b"\x89PNG\r\n\x1a\n", "not a DICOM file"),
}


@pytest.mark.parametrize("name", PROMISED)
def test_what_promises_a_scan_is_an_error_that_says_what_to_do(tmp_path, name):
    content, reason = PROMISED[name]
    save(tmp_path / "good", slices())
    (tmp_path / name).write_bytes(content)
    scans, skipped = find_scans(tmp_path)
    assert [scan.id for scan in scans] == ["good"]
    assert [(s.path.name, s.is_broken) for s in skipped] == [(name, True)]
    assert skipped[0].reason.startswith(reason)
    with pytest.raises(InputError) as refusal:
        find_scans(tmp_path / name)
    assert reason in str(refusal.value)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_promises_nothing_is_skipped(tmp_path, name):
    content, reason = HARMLESS[name]
    save(tmp_path / "good", slices())
    (tmp_path / name).write_bytes(content)
    (skipped,) = find_scans(tmp_path)[1]
    assert (skipped.reason, skipped.is_broken) == (reason, False)


def test_a_dicom_file_may_have_any_name(tmp_path):
    endings = (".img", ".raw", ".tar", ".bin", ".mnc")
    for k, path in enumerate(sorted(save(tmp_path, slices()).iterdir())):
        path.rename(tmp_path / f"{k}{endings[k % 5]}")
    (scan,), skipped = find_scans(tmp_path)
    assert (len(scan.files), skipped) == (10, [])


def test_a_dicom_file_that_is_no_ct_says_so_under_any_name(tmp_path):
    folder = save(tmp_path / "mr", slices(Modality="MR", SOPClassUID=MR_IMAGE_STORAGE))
    told = {s.reason for s in find_skipped(folder)}
    for k, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{k}.mnc")
    assert {s.reason for s in find_skipped(folder)} == told
    assert not any("MINC" in reason for reason in told)


def find_skipped(folder):
    with take_inventory(folder, min_slices=8, work=None) as inventory:
        return list(inventory.skipped())


def test_a_volume_read_by_itself_says_what_it_is(tmp_path):
    path = tmp_path / "a.nii.gz"
    path.write_bytes(bz2.compress(NIFTI))
    for read in (nifti.read, nifti.read_label, nifti.read_grid):
        with refused(path, "a NIfTI image, packed with bzip2; unpack it"):
            read(path)


def test_bytes_after_the_end_of_gzip_data_are_remarked_on(tmp_path, caplog):
    path = save_nifti(tmp_path / "a.nii.gz", hu((20, 30, 40)))
    expected = nifti.read(path).array
    whole = path.read_bytes()
    for extra in (b"\r\n", b"<html>", bytes(10) + b"x"):
        caplog.clear()
        path.write_bytes(whole + extra)
        np.testing.assert_array_equal(nifti.read(path).array, expected)
        assert "bytes after the end of its gzip data are left out" in caplog.text
    caplog.clear()
    path.write_bytes(whole + bytes(10))  # zeros pad a tape, and are said to be no more than that
    np.testing.assert_array_equal(nifti.read(path).array, expected)
    assert caplog.text == ""


def test_fetching_again_is_advised_where_it_can_help(tmp_path):
    whole = save_nifti(tmp_path / "a.nii.gz", hu((20, 30, 40))).read_bytes()
    cut, short = tmp_path / "cut.nii.gz", tmp_path / "short.nii.gz"
    cut.write_bytes(whole[: len(whole) // 2])
    short.write_bytes(gzip.compress(gzip.decompress(whole)[:-100]))
    with refused(cut, "the file is truncated", hint="fetch it again"):
        nifti.read(cut)
    with refused(short, "voxels end in slice", hint="it was written so"):
        nifti.read(short)
    plain = tmp_path / "plain.nii"
    plain.write_bytes(gzip.decompress(whole)[:-100])
    with refused(plain, "voxels end in slice", hint="fetch it again"):
        nifti.read(plain)


@pytest.mark.parametrize(
    ("ids", "is_label"),
    [
        (lambda x: x > 0, True),
        (lambda x: np.digitize(x, [-500, 0, 500]).astype(np.int16), True),
        (lambda x: np.digitize(x, [-500, 0, 500]) * 0.99999, True),
        (lambda x: np.digitize(x, [0]) - 1, True),
        (lambda x: x * 0, True),
        (lambda x: np.where(np.arange(40) < 30, 0, x), False),  # its first slices are all 0
        (lambda x: x + 1024, False),
        (lambda x: x, False),
    ],
)
def test_a_label_map_given_as_a_scan_is_none(tmp_path, ids, is_label):
    array = np.asarray(ids(hu((20, 30, 40))))
    array = array if array.dtype == float else array.astype(np.int16)
    path = save_nifti(tmp_path / "label.nii.gz", array)
    with take_inventory(tmp_path, min_slices=8, work=None) as inventory:
        (file,) = inventory.files()
    assert file.bucket == ("skipped" if is_label else "used")
    assert file.reason.startswith("no CT: " if is_label else "")
    if is_label:
        with refused(path, "no CT volume", "as in"):
            find_scans(path)


def test_the_field_case_is_named(shared_data):
    folder = shared_data / "field_cases" / "other_formats_called_not_dicom"
    scans, skipped = find_scans(folder)
    assert [scan.path.name for scan in scans] == ["vol.mha", "vol.nrrd"]
    reasons = {s.path.name: s.reason for s in skipped if s.is_broken}
    assert reasons["vol.nii.bz2"] == f"{PROMISED['a.nii.bz2'][1]} (bunzip2)"
    assert reasons["study.tar.gz"] == PROMISED["a.tar.gz"][1]
    assert reasons["000.dcm.gz"] == PROMISED["a.dcm.gz"][1]
    assert len(reasons) == 14
    assert [s.path.name for s in skipped if not s.is_broken] == ["README"]
