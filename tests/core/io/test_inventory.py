"""Every file in one bucket, whatever lies in the folder."""

import os
import shutil
import zipfile

import numpy as np
import pytest

from core.errors import InputError
from core.io import inventory, nifti
from core.io.inventory import File, take_inventory
from core.io.scans import read_scan
from core.volume import CANONICAL_DIRECTION, Volume
from tests.core.io.dicom.make import CORONAL, hu, save, slices


def look(path, work=None, min_slices=8):
    """Scans, {path below: (bucket, reason, scan)}, and counts."""
    with take_inventory(path, min_slices=min_slices, work=work) as inventory:
        files = list(inventory.files())
        assert all(isinstance(f, File) for f in files)
        rows = {f.path.relative_to(path).as_posix(): (f.bucket, f.reason, f.scan) for f in files}
        assert len(rows) == len(files)
        assert list(inventory.files()) == files  # it may be asked again
        buckets = [f.bucket for f in files]
        assert inventory.counts == {b: buckets.count(b) for b in ("used", "skipped", "error")}
        return list(inventory.scans()), rows, list(inventory.skipped())


def packed(path, folder, **kwargs):
    with zipfile.ZipFile(path, "w", **kwargs) as archive:
        for file in sorted(p for p in folder.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(folder))
    return path


def mess(folder):
    """A volume, a series with a gap, a broken file, a duplicate, and foreign files."""
    save(folder / "ct", slices(), order=range(10))
    save(folder / "gap", [*slices(series="B")[:4], *slices(series="B")[5:]], order=range(9))
    shutil.copy(folder / "ct" / "I000", folder / "ct" / "I900")
    broken = save(folder / "broken", slices(hu((1, 6, 8)), series="C")) / "I000"
    broken.write_bytes(broken.read_bytes()[:-1])
    (folder / "notes.txt").write_text("hello")
    (folder / "lost.dcm").write_bytes(b"")
    (folder / "._I000").write_bytes(b"\x00\x05\x16\x07")
    (folder / "lost.nii").write_bytes(b"")
    return folder


def test_every_file_ends_in_one_bucket(tmp_path):
    (scan,), rows, skipped = look(mess(tmp_path))
    gap = (
        "series 'venous' of 9 slices: slices are missing between -62.50 and -57.50 mm "
        "(the usual step is 2.50 mm)"
    )
    used = {f"ct/I{k:03d}": ("used", "", "ct") for k in range(10)}
    refused = {f"gap/I{k:03d}": ("skipped", gap, "") for k in range(9)}
    others = {
        "ct/I900": ("skipped", "a duplicate of I000", ""),
        "broken/I000": ("error", "truncated: 95 of the 96 bytes of its pixels", ""),
        "notes.txt": ("skipped", "not a DICOM file", ""),
        "lost.dcm": ("error", "not a DICOM file", ""),
        "lost.nii": ("error", "the file is empty; fetch or copy it again", ""),
        "._I000": ("skipped", "hidden or macOS shadow file", ""),
    }
    assert rows == used | refused | others
    assert scan.files == tuple(tmp_path / "ct" / f"I{k:03d}" for k in range(10))
    # A series has one line, at its folder; all else a line per file.
    assert skipped[0] == (tmp_path / "gap", gap, False)
    assert {s.path.relative_to(tmp_path).as_posix() for s in skipped[1:]} == set(others)
    assert {s.path.name for s in skipped if s.is_broken} == {"I000", "lost.dcm", "lost.nii"}


def test_a_volume_that_ends_too_early_is_a_scan_that_fails_where_it_is_read(tmp_path):
    path = tmp_path / "patient_1.nii.gz"
    values = np.random.default_rng(0).integers(40, 80, (20, 32, 32)).astype(np.int16)
    nifti.write(path, Volume(values, (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION))
    path.write_bytes(path.read_bytes()[:600])  # within its first slice
    (scan,), rows, skipped = look(tmp_path)
    assert scan.id == "patient_1"
    assert rows == {"patient_1.nii.gz": ("used", "", "patient_1")}
    assert skipped == []
    with pytest.raises(InputError, match="truncated"):
        read_scan(scan)


def test_files_come_in_the_order_of_their_paths(tmp_path):
    for name in ("a-b/x", "a/y", "a/x", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("hello")
    _, rows, _ = look(tmp_path)
    assert [tmp_path / name for name in rows] == sorted(tmp_path / name for name in rows)


def test_names_that_are_no_text_and_pipes_do_no_harm(tmp_path):
    save(tmp_path / "ct", slices())
    odd = os.fsencode(tmp_path) + b"/\xff\xfe"
    with open(odd, "wb") as file:
        file.write(b"hello")
    os.mkfifo(tmp_path / "pipe")
    _, rows, _ = look(tmp_path)
    assert rows["pipe"] == ("skipped", "no regular file", "")
    assert rows[os.fsdecode(b"\xff\xfe")] == ("skipped", "not a DICOM file", "")


def test_nothing_usable_is_an_answer_and_nothing_at_all_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    assert look(tmp_path)[0] == []
    with pytest.raises(InputError, match="no such file or folder"):
        look(tmp_path / "absent", tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_a_look_goes_on_where_another_ended(tmp_path, monkeypatch):
    folder, work = mess(tmp_path / "in"), tmp_path / "work"
    first = look(folder, work)
    read, content = [], inventory._content
    monkeypatch.setattr(inventory, "_content", lambda path: read.append(path.name) or content(path))
    assert look(folder, work) == first
    # Damaged files are read again: another copy may be there.
    assert sorted(read) == ["I000", "lost.dcm", "lost.nii"]
    read.clear()
    (folder / "ct" / "I900").unlink()
    (folder / "new.txt").write_text("hello")
    os.utime(folder / "notes.txt", (0, 0))
    shutil.copy(folder / "gap" / "I000", folder / "broken" / "I000")
    second = look(folder, work)
    assert sorted(read) == ["I000", "lost.dcm", "lost.nii", "new.txt", "notes.txt"]
    assert second == look(folder)
    assert "ct/I900" not in second[1]


def test_work_may_lie_inside_the_folder(tmp_path):
    save(tmp_path / "ct", slices())
    first = look(tmp_path, tmp_path / "work")
    assert look(tmp_path, tmp_path / "work") == first
    assert len(first[1]) == 10


def test_two_folders_share_their_work(tmp_path, monkeypatch):
    for name in "ab":
        save(tmp_path / name, slices(series=name))
        look(tmp_path / name, tmp_path / "work")
    monkeypatch.setattr(inventory, "_content", None)  # nothing is read again
    for name in "ab":
        (scan,), rows, _ = look(tmp_path / name, tmp_path / "work")
        assert (scan.id, len(rows)) == (name, 10)


@pytest.mark.parametrize("is_kept", [True, False])
def test_an_archive_is_as_its_folder(tmp_path, is_kept):
    work = tmp_path / "work" if is_kept else None
    study = mess(tmp_path / "plain" / "study.zip")  # a folder of the same name
    (tmp_path / "zipped").mkdir()
    packed(tmp_path / "zipped" / "study.zip", study)
    (plain,), rows, _ = look(tmp_path / "plain", work)
    (scan,), zipped, _ = look(tmp_path / "zipped", work)
    listed = ("skipped", "an archive; its files are listed on their own", "")
    assert zipped == {"study.zip": listed} | rows
    assert (scan.id, scan.path) == (plain.id, tmp_path / "zipped" / "study.zip" / "ct")
    np.testing.assert_array_equal(read_scan(scan).array, hu())
    assert look(tmp_path / "zipped", work)[1] == zipped


def test_an_archive_may_be_the_input_and_hold_one_and_a_nifti(tmp_path):
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    save(inner / "ct", slices())
    outer.mkdir()
    packed(outer / "no ending", inner, compression=zipfile.ZIP_DEFLATED)
    nifti.write(outer / "a.nii.gz", Volume(hu(), (2, 1, 1), (0, 0, 0), CANONICAL_DIRECTION))
    scans, rows, _ = look(packed(tmp_path / "all.zip", outer))
    assert [s.id for s in scans] == ["a", "no_ending_ct"]
    for scan in scans:
        np.testing.assert_array_equal(read_scan(scan).array, hu())
    assert rows["no ending/ct/I000"] == ("used", "", "no_ending_ct")


def test_a_third_archive_inside_is_named(tmp_path):
    folder = tmp_path / "0"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    for depth in range(1, 4):
        (tmp_path / str(depth)).mkdir()
        folder = packed(tmp_path / str(depth) / "x.zip", folder).parent
    _, rows, _ = look(folder)
    assert list(rows) == ["x.zip", "x.zip/x.zip", "x.zip/x.zip/x.zip"]
    assert rows["x.zip/x.zip/x.zip"] == (
        "error",
        "an archive inside two others; unpack it first",
        "",
    )


def test_an_archive_that_cannot_be_opened_is_tried_again(tmp_path):
    save(tmp_path / "ct", slices())
    good = packed(tmp_path / "study.zip", tmp_path / "ct").read_bytes()
    shutil.rmtree(tmp_path / "ct")
    (tmp_path / "study.zip").write_bytes(good[:-10])
    work = tmp_path / "work"
    assert look(tmp_path, work)[1] == {
        "study.zip": ("error", "the archive is damaged (BadZipFile)", "")
    }
    (tmp_path / "study.zip").write_bytes(good)
    assert len(look(tmp_path, work)[0]) == 1


def test_a_document_is_no_archive_of_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "report.docx", "w") as archive:
        archive.writestr("[Content_Types].xml", "")
    reason = "a document or program packed as an archive"
    assert look(tmp_path)[1] == {"report.docx": ("skipped", reason, "")}


def test_files_of_two_volumes_in_one_folder_name_their_own(tmp_path):
    save(tmp_path, slices() + slices(orientation=CORONAL), order=range(20))
    scans, rows, _ = look(tmp_path)
    assert len(scans) == 2
    assert {r[2] for r in rows.values()} == {s.id for s in scans}


@pytest.mark.parametrize("archive", ["a.zip", "z.zip"])
@pytest.mark.parametrize("unpacked", ["a", "z"])
def test_of_a_series_in_a_folder_and_in_an_archive_the_first_by_its_path_is_used(
    tmp_path, monkeypatch, archive, unpacked
):
    save(tmp_path / "in" / "ct", slices())
    packed(tmp_path / "in" / archive, tmp_path / "in" / "ct")
    monkeypatch.setattr(inventory, "scratch", lambda: tmp_path / unpacked)
    (scan,), rows, _ = look(tmp_path / "in")
    used, left = (archive, "ct") if archive < "ct" else ("ct", archive)
    assert scan.id == used.removesuffix(".zip")
    assert scan.path == tmp_path / "in" / used
    assert {name for name, row in rows.items() if row[0] == "used"} == {
        f"{used}/I{k:03d}" for k in range(10)
    }
    assert rows[f"{left}/I003"] == ("skipped", "a duplicate of I003", "")
    assert read_scan(scan).shape == (10, 6, 8)
