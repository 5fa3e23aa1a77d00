"""NRRD and MetaImage, written here field by field."""

import contextlib
import gzip
import zlib

import nibabel as nib
import numpy as np
import pytest

from core.errors import InputError
from core.io import nifti
from core.io.inventory import find_scans
from core.io.scans import read_scan, write_segmentation
from core.io.volume_file import parts, without_ending
from core.volume import CANONICAL_DIRECTION, Volume, orientation
from tests.refusals import refused

HU = np.random.default_rng(0).integers(-1000, 500, (9, 12, 14)).astype(np.int16)
AFFINE = np.array([[0, 0, 0.7, 1], [0, 0.8, 0, -2], [2.5, 0, 0, 3], [0, 0, 0, 1]])  # LPS, (z, y, x)
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "14 12 9",
    "space directions": "(0.7,0,0) (0,0.8,0) (0,0,2.5)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(1,-2,3)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "1 -2 3",
    "CenterOfRotation": "0 0 0",
    "AnatomicalOrientation": "RAI",
    "ElementSpacing": "0.7 0.8 2.5",
    "DimSize": "14 12 9",
    "ElementType": "MET_SHORT",
}


LAYERS = {
    "dimension": 4,
    "sizes": "2 14 12 9",
    "space_directions": f"none {NRRD['space directions']}",
}


def without_none(fields):
    return {name: value for name, value in fields.items() if value is not None}


def nrrd(path, data=None, end="\n", **changes):
    """A file; underscores in names stand for blanks, and None leaves a field out."""
    changes = {name.replace("_", " "): value for name, value in changes.items()}
    lines = [f"{name}: {value}" for name, value in without_none(NRRD | changes).items()]
    header = end.join(["NRRD0004", "# made here", *lines, "a key:=a: value", "", ""])
    path.write_bytes(header.encode() + (HU.tobytes() if data is None else data))
    return path


def meta(path, data=None, local="LOCAL", **changes):
    lines = [f"{name} = {value}" for name, value in without_none(META | changes).items()]
    header = "\n".join([*lines, f"ElementDataFile = {local}", ""])
    path.write_bytes(header.encode() + (HU.tobytes() if data is None else data))
    return path


def check(path, array=HU, affine=AFFINE):
    volume = nifti.read(path)
    np.testing.assert_array_equal(volume.array, array)
    np.testing.assert_allclose(volume.affine_lps, affine, rtol=1e-6, atol=1e-6)
    grid = nifti.read_grid(path)
    assert (grid.shape, grid.spacing_mm) == (volume.shape, volume.spacing_mm)
    return volume


def test_voxels_lie_where_the_header_says(tmp_path):
    check(nrrd(tmp_path / "a.nrrd"))
    check(meta(tmp_path / "a.mha"))
    check(nrrd(tmp_path / "b", end="\r\n"))
    assert nifti.read(tmp_path / "a.mha").array.dtype == np.int16


@pytest.mark.parametrize(
    ("space", "signs"),
    [("RAS", (-1, -1, 1)), ("right-anterior-superior", (-1, -1, 1)), ("LPS", (1, 1, 1)),
     ("left-anterior-superior", (1, -1, 1))],
)  # fmt: skip
def test_every_space_of_a_patient_is_known(tmp_path, space, signs):
    check(nrrd(tmp_path / "a.nrrd", space=space), affine=np.diag([*signs, 1]) @ AFFINE)


def test_directions_are_those_of_the_axes(tmp_path):
    # x of the file runs to the head, y to the right, z to the back.
    expected = np.array([[0, -0.8, 0, 1], [2.5, 0, 0, -2], [0, 0, 0.7, 3], [0, 0, 0, 1]])
    directions = "(0,0,0.7) (-0.8,0,0) (0,2.5,0)"
    check(nrrd(tmp_path / "a.nrrd", space_directions=directions), affine=expected)
    volume = check(meta(tmp_path / "a.mha", TransformMatrix="0 0 1 -1 0 0 0 1 0"), affine=expected)
    assert orientation(volume) == "PRS"


def test_packed_voxels_are_unpacked(tmp_path):
    packed = gzip.compress(HU.tobytes())
    check(nrrd(tmp_path / "a.nrrd", packed, encoding="gzip"))
    check(nrrd(tmp_path / "b.nrrd", packed, encoding="gz"))
    check(
        nrrd(
            tmp_path / "c.nrrd", gzip.compress(b"12345" + HU.tobytes()), encoding="gz", byte_skip=5
        )
    )
    check(meta(tmp_path / "a.mha", zlib.compress(HU.tobytes()), CompressedData="True"))
    whole = gzip.compress(nrrd(tmp_path / "d.nrrd").read_bytes())
    (tmp_path / "e.nrrd.gz").write_bytes(whole)
    check(tmp_path / "e.nrrd.gz")


def test_voxels_may_lie_in_a_file_of_their_own(tmp_path):
    data, junk = HU.tobytes(), b"junk\nmore"
    (tmp_path / "a.raw").write_bytes(data)
    (tmp_path / "b.zraw").write_bytes(zlib.compress(data))
    (tmp_path / "c.raw.gz").write_bytes(gzip.compress(data))
    (tmp_path / "d.raw").write_bytes(junk + data)
    check(nrrd(tmp_path / "a.nhdr", b"", data_file="a.raw"))
    check(nrrd(tmp_path / "aa.nhdr", b"", datafile="a.raw"))
    check(nrrd(tmp_path / "c.nhdr", b"", data_file="c.raw.gz", encoding="gzip"))
    check(nrrd(tmp_path / "d.nhdr", b"", data_file="d.raw", byte_skip=-1))
    check(nrrd(tmp_path / "dd.nhdr", b"", data_file="d.raw", line_skip=1, byte_skip=4))
    check(meta(tmp_path / "a.mhd", b"", local="a.raw"))
    check(meta(tmp_path / "b.mhd", b"", local="b.zraw", CompressedData="True"))
    check(meta(tmp_path / "d.mhd", b"", local="d.raw", HeaderSize=-1))
    check(meta(tmp_path / "dd.mhd", b"", local="d.raw", HeaderSize=len(junk)))
    check(meta(tmp_path / "e.mhd", b"", local="/data/of/others/a.raw"))  # moved here with it
    assert parts(tmp_path / "a.mhd") == (tmp_path / "a.mhd", tmp_path / "a.raw")
    assert parts(nrrd(tmp_path / "f.nrrd")) == (tmp_path / "f.nrrd",)
    lost = meta(tmp_path / "lost.mhd", b"", local="lost.raw")
    assert parts(lost) == (lost,)
    with refused(lost, "lost.raw", "not there", hint="beside it"):
        nifti.read(lost)


@pytest.mark.parametrize(
    ("dtype", "in_nrrd", "in_meta"),
    [
        ("<i2", "signed short int", "MET_SHORT"),
        (">i2", "int16", "MET_SHORT"),
        (">f4", "float", "MET_FLOAT"),
        ("<f8", "double", "MET_DOUBLE"),
        ("<i4", "int32_t", "MET_INT"),
        (">i8", "long long", "MET_LONG_LONG"),
    ],
)
def test_every_type_and_byte_order_is_read(tmp_path, dtype, in_nrrd, in_meta):
    order = "big" if dtype[0] == ">" else "little"
    data = HU.astype(dtype).tobytes()
    volume = check(nrrd(tmp_path / "a.nrrd", data, type=in_nrrd, endian=order))
    is_big = str(dtype[0] == ">")
    check(meta(tmp_path / "a.mha", data, ElementType=in_meta, BinaryDataByteOrderMSB=is_big))
    assert volume.array.dtype == (np.float32 if "f" in dtype else np.int16)


def test_labels_and_axes_of_size_one(tmp_path):
    ids = (HU > 0).astype(np.uint8) * 3
    label = nrrd(tmp_path / "a.seg.nrrd", ids.tobytes(), type="uchar", endian=None)
    np.testing.assert_array_equal(nifti.read_label(label).array, ids)
    label = meta(tmp_path / "a.mha", ids.tobytes(), ElementType="MET_UCHAR")
    np.testing.assert_array_equal(nifti.read_label(label).array, ids)
    changes = {"sizes": "1 14 12 9", "dimension": 4, "kinds": "list domain domain domain"}
    directions = f"none {NRRD['space directions']}"
    check(nrrd(tmp_path / "b.nrrd", space_directions=directions, **changes))
    matrix = " ".join(str(int(n)) for n in np.eye(4).ravel())
    four = {"NDims": 4, "DimSize": "14 12 9 1", "TransformMatrix": matrix, "Offset": "1 -2 3 0"}
    check(meta(tmp_path / "b.mha", **four, ElementSpacing="0.7 0.8 2.5 1"))


def test_no_orientation_is_told(tmp_path, caplog):
    bare = {"space": None, "space_directions": None, "space_origin": None}
    affine = np.array([[0, 0, 0.7, 0], [0, 0.8, 0, 0], [2.5, 0, 0, 0], [0, 0, 0, 1]])
    check(nrrd(tmp_path / "a.nrrd", spacings="0.7 0.8 2.5", **bare), affine=affine)
    assert "no orientation; axes are taken as L, P, S" in caplog.text
    check(nrrd(tmp_path / "b.nrrd", space="scanner-xyz"))
    assert "'scanner-xyz'; directions are taken as LPS" in caplog.text


@pytest.mark.parametrize(
    ("write", "changes", "reason", "hint"),
    [
        (nrrd, {"encoding": "ascii"}, "encoded as 'ascii'", "gzip"),
        (nrrd, {"encoding": "bzip2"}, "encoded as 'bzip2'", "gzip"),
        (nrrd, {"type": "block"}, "unknown voxel type 'block'", ""),
        (nrrd, {"endian": None}, "order of bytes", ""),
        (nrrd, {"sizes": None}, "no field 'sizes'", ""),
        (nrrd, {"sizes": "14 12"}, "dimension and sizes differ", ""),
        (nrrd, {"sizes": "0 12 9"}, "shape (0, 12, 9)", ""),
        (nrrd, {"sizes": "14 12 99999999"}, "the geometry is damaged", ""),
        (nrrd, {"sizes": "9999 9999 999"}, "too small for the shape", ""),
        (nrrd, {"space_directions": "(0,0,0) (0,1,0) (0,0,1)"}, "the geometry is damaged", ""),
        (nrrd, {"space_directions": "(1,0,0) (0,1,0)"}, "do not fit the axes", ""),
        (nrrd, {"space_units": '"cm" "cm" "cm"'}, "not in mm", "mm"),
        (nrrd, {"data_file": "LIST"}, "several files", "one .nrrd"),
        (nrrd, LAYERS, "several volumes in one file", "split"),
        (meta, {"DimSize": None}, "no field 'DimSize'", ""),
        (meta, {"NDims": 2}, "NDims and DimSize differ", ""),
        (meta, {"ElementType": "MET_OTHER"}, "unknown voxel type 'MET_OTHER'", ""),
        (meta, {"ElementNumberOfChannels": 3}, "several volumes in one file", "split"),
        (meta, {"BinaryData": "False"}, "voxels are text", "binary"),
        (meta, {"TransformMatrix": "1 0 0"}, "damaged", ""),
        (meta, {"local": "LIST"}, "several files", "one .mha"),
        (meta, {"local": "a%03d.raw 1 9 1"}, "several files", "one .mha"),
        (meta, {"ElementToIntensityFunctionOffset": -1024}, "a function of intensity", "without"),
        (meta, {"DimSize": "14 12 10"}, "voxels end in slice 9 of 10", "fetch it again"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(tmp_path, write, changes, reason, hint):
    path = write(tmp_path / "a.dat", **changes)
    with refused(path, reason, hint=hint):
        nifti.read(path)


def test_a_truncated_file_is_told_from_one_that_was_written_too_short(tmp_path):
    packed = gzip.compress(HU.tobytes())
    cut = nrrd(tmp_path / "a.nrrd", packed[:-200], encoding="gzip")
    with refused(cut, "the file is truncated", hint="fetch it again"):
        nifti.read(cut)
    short = nrrd(tmp_path / "b.nrrd", gzip.compress(HU.tobytes()[:-2]), encoding="gzip")
    with refused(short, "voxels end in slice 8 of 9", hint="whole one"):
        nifti.read(short)


def test_a_scan_is_found_and_segmented_on_its_grid(tmp_path):
    for write, name in ((nrrd, "a.nrrd"), (meta, "b.mha")):
        path = write(tmp_path / name)
        (scan,), skipped = find_scans(path)
        assert (scan.kind, scan.files, skipped) == ("nifti", (path,), [])
        volume = read_scan(scan)
        label = volume.with_array((HU > 0).astype(np.uint8))
        (file,), note = write_segmentation(tmp_path / name[0], scan, label, {1: "pancreas"})
        written = nib.load(file)
        assert note == ""
        np.testing.assert_array_equal(np.asarray(written.dataobj).T, HU > 0)
        affine = np.diag([-1, -1, 1, 1]) @ AFFINE[:, [2, 1, 0, 3]]
        np.testing.assert_allclose(written.affine, affine, rtol=1e-6)
        np.testing.assert_allclose(written.header.get_qform(), affine, rtol=1e-5, atol=1e-5)


def test_voxels_beside_their_header_are_no_scan_of_their_own(tmp_path):
    meta(tmp_path / "a.mhd", b"", local="a.raw")
    (tmp_path / "a.raw").write_bytes(HU.tobytes())
    (scan,), (skipped,) = find_scans(tmp_path)
    assert scan.path.name == "a.mhd"
    assert (skipped.path.name, skipped.is_broken) == ("a.raw", False)
    assert "header beside them" in skipped.reason


def test_any_damage_to_a_header_is_one_line(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "b"
    for good in (nrrd(tmp_path / "a.nrrd").read_bytes(), meta(tmp_path / "a.mha").read_bytes()):
        for _ in range(300):
            data = bytearray(good)
            for position in rng.integers(0, 330, 3):
                data[position] = rng.integers(256)
            path.write_bytes(data)
            for read in (nifti.read, nifti.read_label, nifti.label_reason):
                with contextlib.suppress(InputError):
                    read(path)


def test_names_lose_their_endings():
    names = ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "A.MHD", "a.nhdr", "a.b", "a"]
    assert [without_ending(n) for n in names] == ["a", "a", "a", "a", "A", "a", "a.b", "a"]


def test_the_field_cases_are_read(shared_data):
    folder = shared_data / "field_cases" / "other_formats_called_not_dicom"
    volumes = [nifti.read(folder / name) for name in ("vol.nrrd", "vol.mha")]
    np.testing.assert_array_equal(volumes[0].array, volumes[1].array)
    assert volumes[0].shape == (12, 40, 48)
    for volume in volumes:
        np.testing.assert_array_equal(volume.direction, CANONICAL_DIRECTION)
        assert volume.spacing_mm == pytest.approx((2.5, 0.8, 0.9))
    assert isinstance(volumes[0], Volume)
