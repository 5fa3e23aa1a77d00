import gzip
import logging
import os

import highdicom
import nibabel as nib
import numpy as np
import pytest
from pydicom.uid import generate_uid

from core.errors import InputError
from core.io import nifti
from core.io.dicom.seg import EMPTY_TAGS
from core.io.dicom.warnings import quiet
from core.io.inventory import find_scans
from core.io.scans import VolumeCache, read_grid, read_scan, write_segmentation
from core.volume import CANONICAL_DIRECTION, Volume, canonical, reorient, same_grid
from tests.core.io.dicom.make import CORONAL, SECRET, hu, save, slices

NAMES = {1: "pancreas", 2: "tumor"}


def ct(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    return nifti.write(path, Volume(hu(seed=seed), (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION))


def ids(path, **kwargs):
    return [s.id for s in find_scans(path, **kwargs)[0]]


def test_a_nifti_file_is_one_scan(tmp_path):
    path = ct(tmp_path / "case.nii.gz")
    (scan,), skipped = find_scans(path)
    assert (scan.id, scan.kind, scan.files, skipped) == ("case", "nifti", (path,), [])
    np.testing.assert_array_equal(read_scan(scan).array, hu())


def test_a_dicom_folder_with_foreign_files_is_one_scan(tmp_path):
    folder = save(tmp_path / "study", slices())
    for name in ("DICOMDIR.txt", ".DS_Store", "._I001"):
        (folder / name).write_bytes(b"\x00\x05\x16\x07")
    (scan,), skipped = find_scans(folder)
    assert (scan.id, scan.kind, scan.path, len(scan.files)) == ("study", "dicom", folder, 10)
    assert scan.description == "venous"
    assert sorted(s.path.name for s in skipped) == [".DS_Store", "._I001", "DICOMDIR.txt"]
    np.testing.assert_array_equal(read_scan(scan).array, hu())


def test_a_multi_frame_file_is_one_scan_and_a_single_slice_is_none(tmp_path):
    with quiet():
        uids = (generate_uid(), 1, generate_uid(), 1)
        highdicom.legacy.LegacyConvertedEnhancedCTImage(slices(), *uids).save_as(tmp_path / "a.dcm")
    (scan,), _ = find_scans(tmp_path / "a.dcm")
    assert scan.id == "a"
    np.testing.assert_array_equal(read_scan(scan).array, hu())
    folder = save(tmp_path / "single", slices())
    with pytest.raises(InputError, match="series 'venous' of 1 slice: too few for a volume"):
        find_scans(folder / "I003")


def test_a_folder_of_cases_holds_both_kinds_at_any_depth(tmp_path):
    ct(tmp_path / "b.nii.gz")
    ct(tmp_path / "site 1" / "a.nii")
    save(tmp_path / "c" / "venous", slices(series="B"))
    save(tmp_path / "c" / "both", slices() + slices(orientation=CORONAL), order=range(20))
    assert ids(tmp_path) == ["b", "c_both", "c_both-2", "c_venous", "site_1_a"]


def test_one_series_in_two_folders_is_read_once(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name, slices())
    (scan,), skipped = find_scans(tmp_path)
    assert {f.parent.name for f in scan.files} == {"a"}
    assert {s.reason[:14] for s in skipped} == {"a duplicate of"}


def test_ids_are_unique_and_never_from_the_header(tmp_path):
    for name in ("a/b.nii", "a_b.nii", "a_b.nii.gz"):
        ct(tmp_path / name)
    save(tmp_path / "d", slices())
    names = ids(tmp_path)
    assert names == ["a_b", "a_b-2", "a_b-3", "d"]
    assert SECRET not in " ".join(names)


def test_a_link_back_to_its_own_folder_ends(tmp_path):
    ct(tmp_path / "a" / "x.nii")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    assert ids(tmp_path) == ["a_x"]


def test_damaged_nifti_files_have_their_reason(tmp_path):
    ct(tmp_path / "good.nii.gz")
    (tmp_path / "lfs.nii.gz").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "empty.nii").touch()
    _, skipped = find_scans(tmp_path)
    reasons = {s.path.name: s.reason for s in skipped}
    assert reasons["empty.nii"] == "the file is empty; fetch or copy it again"
    assert "Git LFS pointer" in reasons["lfs.nii.gz"]


def test_nothing_usable_says_why(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        find_scans(tmp_path / "absent")
    with pytest.raises(InputError, match="the folder is empty"):
        find_scans(tmp_path)
    for n in range(5):
        (tmp_path / f"note{n}.txt").write_text("hello")
    save(tmp_path / "few", slices(hu()[:4]))
    with pytest.raises(
        InputError, match=r"no CT volume: few: .* 4 slices: too few .* … and 3 more"
    ):
        find_scans(tmp_path)
    assert len(find_scans(tmp_path, min_slices=4)[0]) == 1


def labels():
    array = np.zeros((10, 6, 8), np.uint8)
    array[2:7, 1:4, 2:6] = 1
    array[4:6, 2:3, 3:5] = 2
    return array


def test_a_nifti_segmentation_has_the_bytes_of_the_inputs_geometry(tmp_path):
    affine = np.array([[-2, 0.01, 0, 5], [0, -1, 0, 6], [0, 0, -3, 7], [0, 0, 0, 1.0]])
    image = nib.Nifti1Image(hu().T, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, 3)
    nib.save(image, tmp_path / "ct.nii.gz")
    (scan,), _ = find_scans(tmp_path / "ct.nii.gz")
    truth = read_scan(scan).with_array(labels())
    files, note = write_segmentation(tmp_path / "out", scan, canonical(truth), NAMES)
    written = nib.load(files[0])
    assert ([f.name for f in files], note) == (["segmentation.nii.gz"], "")
    np.testing.assert_array_equal(np.asarray(written.dataobj).T, labels())
    for field in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "pixdim", "dim"):
        np.testing.assert_array_equal(written.header[field], nib.load(scan.path).header[field])


@pytest.mark.parametrize("enhanced", [False, True])
def test_a_dicom_segmentation_reads_back_equal_and_references_its_source(tmp_path, enhanced):
    datasets = slices()
    folder = save(tmp_path / "ct", datasets)
    if enhanced:
        for path in list(folder.iterdir()):
            path.unlink()
        with quiet():
            uids = (generate_uid(), 1, generate_uid(), 1)
            # Frames against the normal: the planes have to be put where the file has them.
            converted = highdicom.legacy.LegacyConvertedEnhancedCTImage(datasets[::-1], *uids)
            converted.save_as(folder / "image")
    (scan,), _ = find_scans(folder)
    truth = read_scan(scan).with_array(labels())
    flipped = reorient(truth, -CANONICAL_DIRECTION)
    files, note = write_segmentation(tmp_path / "out", scan, flipped, NAMES)
    assert ([f.name for f in files], note) == (["segmentation.nii.gz", "segmentation.dcm"], "")
    np.testing.assert_array_equal(nifti.read_label(files[0]).array, labels())
    with quiet():
        seg = highdicom.seg.segread(files[1])
        volume = seg.get_volume(combine_segments=True)
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["pancreas", "tumor"]
    source = {f.uid for f in scan.frames}
    referenced = {
        i.ReferencedSOPInstanceUID
        for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    }
    assert referenced == source
    # highdicom keeps only planes with content, and its own order: compare point by point.
    dhw = np.argwhere(labels() > 0)
    points = np.c_[dhw, np.ones(len(dhw))] @ truth.affine_lps.T
    index = np.rint(points @ np.linalg.inv(volume.affine).T)[:, :3].astype(int)
    np.testing.assert_array_equal(volume.array[tuple(index.T)], labels()[labels() > 0])
    assert np.count_nonzero(volume.array) == np.count_nonzero(labels())


# One attribute at least of every module that highdicom copies from the source.
IDENTIFYING = {
    "PatientName": "Secret^Jane",
    "PatientID": "Secret",
    "OtherPatientNames": "Secret^June",
    "PatientComments": "Secret",
    "EthnicGroup": "Secret",
    "PhysiciansOfRecord": "Secret^Doctor",
    "ReferringPhysicianName": "Secret^Doctor",
    "AdmittingDiagnosesDescription": "Secret",
    "AdditionalPatientHistory": "Secret",
    "ClinicalTrialSubjectID": "Secret",
    "SeriesDescription": "Secret",
    "Manufacturer": "Secret",
    "InstitutionName": "Secret",
    "InstitutionAddress": "Secret",
    "StationName": "Secret",
    "DeviceSerialNumber": "Secret",
    "AcquisitionDateTime": "20190504101112",
    "StudyDate": "20190504",
    "AccessionNumber": "Secret",
}


@pytest.mark.parametrize("enhanced", [False, True])
def test_a_segmentation_carries_the_patients_tags_unless_it_is_anonymous(tmp_path, enhanced):
    datasets = slices(**IDENTIFYING)
    if enhanced:
        with quiet():
            uids = (generate_uid(), 1, generate_uid(), 1)
            datasets = [highdicom.legacy.LegacyConvertedEnhancedCTImage(datasets, *uids)]
    (scan,), _ = find_scans(save(tmp_path / "ct", datasets))
    volume = read_scan(scan).with_array(labels())
    for anonymous in (False, True):
        (nii, path), note = write_segmentation(
            tmp_path / f"{anonymous}", scan, volume, NAMES, anonymous=anonymous
        )
        assert note == ""
        for secret in (b"Secret", b"20190504"):
            assert (secret in path.read_bytes()) is not anonymous
            assert secret not in gzip.decompress(nii.read_bytes())
        with quiet():
            seg = highdicom.seg.segread(path)
        assert (str(seg.PatientName) == "Secret^Jane") is not anonymous
        assert all(name in seg for name in EMPTY_TAGS)
        source = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        assert {i.ReferencedSOPInstanceUID for i in source} == {f.uid for f in scan.frames}
        for name in ("StudyInstanceUID", "FrameOfReferenceUID"):
            assert seg[name].value == datasets[0][name].value
        # The voxels lie where those of the tagged segmentation lie.
        assert np.count_nonzero(seg.pixel_array) == np.count_nonzero(labels())


def test_an_empty_segmentation_is_legal_and_equal_input_gives_equal_uids(tmp_path):
    (scan,), _ = find_scans(save(tmp_path / "ct", slices()))
    empty = read_scan(scan).with_array(np.zeros((10, 6, 8), np.uint8))
    first, second = (write_segmentation(tmp_path / n, scan, empty, NAMES).files[1] for n in "ab")
    with quiet():
        segs = [highdicom.seg.segread(f) for f in (first, second)]
    assert segs[0].SOPInstanceUID == segs[1].SOPInstanceUID
    assert not segs[0].pixel_array.any()


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SOPClassUID"])
def test_a_series_without_uids_gets_nifti_and_a_note(tmp_path, name):
    (scan,), _ = find_scans(save(tmp_path / "ct", slices(**{name: ""})))
    truth = read_scan(scan).with_array(labels())
    files, note = write_segmentation(tmp_path / "out", scan, truth, NAMES)
    assert [f.name for f in files] == ["segmentation.nii.gz"]
    assert note == f"no DICOM-SEG: the images have no valid {name} to refer to"


def test_a_series_whose_headers_lack_what_a_seg_needs_gets_a_note(tmp_path):
    (scan,), _ = find_scans(save(tmp_path / "ct", slices(AccessionNumber=None, PatientID=None)))
    truth = read_scan(scan).with_array(labels())
    files, note = write_segmentation(tmp_path / "out", scan, truth, NAMES)
    assert [f.name for f in files] == ["segmentation.nii.gz"]
    assert "no DICOM-SEG: the headers lack what it needs (AttributeError)" in note


def test_labels_of_another_grid_are_refused(tmp_path):
    (scan,), _ = find_scans(ct(tmp_path / "a.nii"))
    other = Volume(labels(), (2, 1, 1), (99, 0, 0), CANONICAL_DIRECTION)
    with pytest.raises(ValueError, match="do not lie on the grid of a"):
        write_segmentation(tmp_path, scan, other, NAMES)


def test_messages_of_libraries_that_quote_headers_are_silent(tmp_path, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    folder = save(tmp_path, slices(PatientName=SECRET, PatientBirthDate=""))
    read_scan(find_scans(folder)[0][0])
    assert capfd.readouterr() == ("", "")
    assert "SECRET" not in caplog.text


def test_the_grid_of_a_scan_is_that_of_its_volume(tmp_path):
    save(tmp_path / "dicom", slices())
    nifti.write(
        tmp_path / "ct.nii.gz", Volume(hu(), (2.0, 1.0, 1.0), (0, 0, 0), CANONICAL_DIRECTION)
    )
    scans, _ = find_scans(tmp_path)
    assert {scan.kind for scan in scans} == {"dicom", "nifti"}
    for scan in scans:
        assert same_grid(read_grid(scan), read_scan(scan))


def test_only_volumes_that_fit_are_kept(tmp_path, monkeypatch):
    for name in ("a", "b"):
        volume = Volume(hu(), (2.0, 1.0, 1.0), (0, 0, 0), CANONICAL_DIRECTION)
        nifti.write(tmp_path / f"{name}.nii.gz", volume)
    (first, second), reads = find_scans(tmp_path)[0], []
    volumes = VolumeCache(max_bytes=read_scan(first).array.nbytes)
    monkeypatch.setattr(
        "core.io.scans.read_scan", lambda scan: reads.append(scan.id) or read_scan(scan)
    )
    for scan in (first, first, second, second):
        volumes.read(scan)
    assert reads == ["a", "b", "b"]
    volumes.forget(first)
    volumes.take(first)
    assert reads[3:] == ["a"]
