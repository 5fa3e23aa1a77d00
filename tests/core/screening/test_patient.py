import csv

import numpy as np
import pytest

from core.errors import InputError
from core.io import nifti
from core.io.dicom.geometry import normal
from core.io.scans import VolumeCache, read_scan
from core.phases.evidence import phases_of_patient, read_phases
from core.screening.patient import require_one_patient, screen
from core.screening.series import Rules
from core.screening.table import summary, write_screening
from core.volume import CANONICAL_DIRECTION, Volume
from tests.core.io.dicom.make import AXIAL, CORONAL, SAGITTAL, SECRET, hu, save, slices

ANY = Rules(phases=("arterial", "venous", "delayed", "unknown"))


def only_8_by_8(size):
    return "" if size == (8, 8) else f"not 8 × 8 pixels ({size[0]} × {size[1]})"


SQUARE = ANY._replace(refuse_size=only_8_by_8)


def reasons(screening):
    return {f.reason for f in screening.files if f.bucket != "used"}


def ct(path, *, spacing_mm=(2, 1, 1), shape=(10, 8, 8), direction=CANONICAL_DIRECTION, values=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = hu(shape) if values is None else values
    return nifti.write(path, Volume(values, spacing_mm, (0, 0, 0), direction))


def tilted(degrees):
    angle = np.radians(degrees)
    return (1, 0, 0, 0, float(np.cos(angle)), float(np.sin(angle)))


def test_axial_images_of_the_size_in_a_contrast_phase_are_used(tmp_path):
    save(tmp_path / "a", slices(SeriesDescription="portal venous"))
    screening = screen(tmp_path, ANY)
    ((used,), files) = screening.series, screening.files
    assert (used.phase, used.evidence, len(used.scan.files)) == (
        "venous",
        "series description",
        10,
    )
    assert {(f.bucket, f.reason, f.series, f.phase) for f in files} == {("used", "", "a", "venous")}
    assert (screening.count("used"), screening.count("skipped"), screening.count("error")) == (
        10,
        0,
        0,
    )


@pytest.mark.parametrize(
    ("orientation", "reason"),
    [
        (CORONAL, "coronal reformat"),
        (SAGITTAL, "sagittal reformat"),
        (tilted(31), "oblique reformat"),
        (tilted(60), "coronal reformat"),
        (tilted(29), None),
        (AXIAL, None),
    ],
)
def test_planes_are_told_apart_by_their_normal(tmp_path, orientation, reason):
    save(tmp_path, slices(orientation=orientation))
    screening = screen(tmp_path, ANY)
    assert reasons(screening) == ({reason} if reason else set())
    assert normal(screening.series[0].scan.frames[0])[2] > 0.8 if screening.series else reason


@pytest.mark.parametrize("series", ["a/b", "a_b", "NATIVE"])
def test_the_users_table_overrides_the_description(tmp_path, series):
    save(tmp_path / "p" / "a" / "b", slices(SeriesDescription="native"))
    (tmp_path / "phases.csv").write_text(f"series,phase\n{series},delayed\n")
    phases = phases_of_patient(read_phases(tmp_path / "phases.csv"), "p")
    (used,) = screen(tmp_path / "p", ANY, phases=phases).series
    assert (used.phase, used.evidence) == ("delayed", "the user's table")


def test_the_name_of_the_patients_folder_is_no_evidence(tmp_path):
    save(tmp_path / "venous", slices(SeriesDescription=""))
    assert screen(tmp_path / "venous", ANY).series[0].phase == "unknown"
    assert screen(tmp_path, ANY).series[0].phase == "venous"


def test_a_single_file_is_screened(tmp_path):
    path = ct(tmp_path / "pat_venous.nii.gz")
    assert screen(path, ANY).series[0].phase == "venous"
    assert write_screening(tmp_path, screen(path, ANY)).read_text().count("pat_venous.nii.gz,") == 1


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("MIP arterial", "projection through slices"),
        ("Art_3D_VR", "projection through slices"),
        ("Iodine venous", "map or bolus tracking, not tissue in HU"),
        ("Monitoring", "map or bolus tracking, not tissue in HU"),
    ],
)
def test_pictures_made_from_slices_are_left_out(tmp_path, description, reason):
    save(tmp_path, slices(SeriesDescription=description))
    assert reasons(screen(tmp_path, ANY)) == {reason}


def test_one_of_several_reconstructions_is_used_and_the_others_name_it(tmp_path):
    for name, kernel in (("a", "B70f"), ("b", "B30f"), ("c", "B60f")):
        save(tmp_path / name, slices(series=name, ConvolutionKernel=kernel))
    screening = screen(tmp_path, ANY)
    assert [s.scan.id for s in screening.series] == ["b"]
    assert reasons(screening) == {"another reconstruction of the same phase: b is used"}
    assert screening.count("skipped") == 20
    assert "skipped: 20 another reconstruction of the same phase" in summary(screening)


def test_volumes_of_unknown_phase_in_different_frames_of_reference_are_used(tmp_path):
    for uid in "12":
        datasets = slices(series=uid, SeriesDescription="", FrameOfReferenceUID=f"1.{uid}")
        save(tmp_path / "all" / uid, datasets)
    assert [s.phase for s in screen(tmp_path, ANY).series] == ["unknown", "unknown"]


def test_nifti_files_are_scans_too(tmp_path):
    ct(tmp_path / "pat_arterial.nii.gz")
    ct(tmp_path / "x" / "ct.nii")
    screening = screen(tmp_path, ANY)
    assert [(s.scan.id, s.phase) for s in screening.series] == [
        ("pat_arterial", "arterial"),
        ("x_ct", "unknown"),
    ]
    assert [f.series for f in screening.files] == ["pat_arterial", "x_ct"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"values": np.ones((10, 8, 8), np.int16)}, "a mask or no CT: nothing is air"),
        ({"shape": (5, 8, 8)}, "5 slices, fewer than 8"),
        ({"shape": (10, 8, 9)}, "not 8 × 8 pixels (8 × 9)"),
        ({"spacing_mm": (1, 2, 1)}, "coronal reformat"),
        ({"spacing_mm": (1, 1, 2)}, "sagittal reformat"),
        ({"direction": CANONICAL_DIRECTION[:, [1, 0, 2]], "spacing_mm": (1, 2, 1)}, None),
    ],
)
def test_nifti_files_are_judged_by_grid_and_voxels(tmp_path, changes, reason, caplog):
    shape = (8, 10, 8) if "direction" in changes else (10, 8, 8)
    ct(tmp_path / "venous.nii.gz", **{"shape": shape, **changes})
    assert reasons(screen(tmp_path, SQUARE)) == ({reason} if reason else set())


def test_a_truncated_nifti_file_is_an_error(tmp_path):
    path = ct(tmp_path / "venous.nii")
    path.write_bytes(path.read_bytes()[:-20])
    (file,) = screen(tmp_path, ANY).files
    assert file.bucket == "error"
    assert file.reason


def test_nothing_usable_is_a_result_and_nothing_at_all_is_not(tmp_path):
    (tmp_path / "p").mkdir()
    with pytest.raises(InputError, match="the folder is empty"):
        screen(tmp_path / "p", ANY)
    with pytest.raises(InputError, match="no such file or folder"):
        screen(tmp_path / "absent", ANY)
    (tmp_path / "p" / "note.txt").write_text("hello")
    screening = screen(tmp_path / "p", ANY)
    assert screening.series == ()
    assert summary(screening) == "used 0 of 1 files; skipped: 1 not a DICOM file"


def test_the_table_has_a_row_per_file_and_names_no_patient(tmp_path):
    save(tmp_path / "p" / "a", slices(SeriesDescription="venous"))
    (tmp_path / "p" / "README").write_text("hello")
    screening = screen(tmp_path / "p", ANY)
    path = write_screening(tmp_path / "out", screening)
    assert path == tmp_path / "out" / "screening.csv"
    for private in ("SECRET", SECRET, str(tmp_path)):
        assert private not in path.read_text() + summary(screening)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["README", *(f"a/I{n:03d}" for n in range(10))]
    assert list(rows[1].values()) == ["a/I000", "used", "", "a", "venous", "series description"]
    assert summary(screening) == "used 10 of 11 files: venous 10; skipped: 1 not a DICOM file"


def test_screening_again_gives_the_same(tmp_path):
    for name in "ab":
        save(tmp_path / "p" / name, slices(series=name))
    first = screen(tmp_path / "p", ANY, work=tmp_path / "work")
    assert screen(tmp_path / "p", ANY, work=tmp_path / "work") == first
    assert screen(tmp_path / "p", ANY) == first


def test_studies_are_kept_apart_and_the_newest_comes_first(tmp_path):
    for name, date in (("a", "20200101"), ("b", "20210101")):
        study = {"StudyInstanceUID": f"1.2.{date}", "StudyDate": date}
        save(tmp_path / "p" / name, slices(series=name, **study))
    screened = screen(tmp_path / "p", ANY)
    # Same place, phase and time: of one study only one of the two would be used.
    assert [[series.scan.id for series in study] for study in screened.studies] == [["b"], ["a"]]
    assert screened.num_patients == 1
    require_one_patient(screened)


def test_two_patients_under_one_path_are_refused_without_their_names(tmp_path):
    for name in "ab":
        who = {"PatientID": f"SECRET{name}", "StudyInstanceUID": f"1.2.{ord(name)}"}
        save(tmp_path / "p" / name, slices(series=name, **who))
    screened = screen(tmp_path / "p", ANY)
    assert screened.num_patients == 2
    with pytest.raises(InputError, match="2 patients") as error:
        require_one_patient(screened)
    assert error.value.path == tmp_path / "p"
    assert "folder of each patient" in error.value.hint
    assert "SECRET" not in str(error.value) + repr(screened.files)


def test_series_without_an_id_are_of_the_patient_beside_them(tmp_path):
    save(tmp_path / "p" / "a", slices(series="a"))
    bare = {"PatientID": "", "SeriesDescription": "arterial"}
    save(tmp_path / "p" / "b", slices(series="b", **bare))
    ct(tmp_path / "p" / "delayed.nii.gz")
    screened = screen(tmp_path / "p", ANY)
    assert screened.num_patients == 1
    assert [len(study) for study in screened.studies] == [3]


def test_a_nifti_file_is_read_once_for_air_phase_and_decision(tmp_path, monkeypatch):
    path, reads = ct(tmp_path / "ct.nii.gz"), []
    monkeypatch.setattr(
        "core.io.scans.read_scan", lambda scan: reads.append(scan.id) or read_scan(scan)
    )
    volumes = VolumeCache()
    (used,) = screen(path, ANY, volumes=volumes).series
    assert used.evidence.startswith("image")
    volumes.take(used.scan)
    assert reads == ["ct"]
