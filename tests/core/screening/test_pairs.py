import json
import shutil

import pydicom
import pytest
from pydicom.uid import generate_uid

from core.datasets.channels import phases_of
from core.errors import InputError
from core.io import nifti
from core.io.inventory import find_scans
from core.phantom.ct.phantom import make
from core.phantom.dicom.series import write_dicom_study
from core.screening.choice import choose
from core.screening.pairs import find_pairs, pair_of
from core.volume import CANONICAL_DIRECTION, Volume
from tests.core.io.dicom.make import hu, save, slices
from tests.refusals import refused

SIZE, NUM_SLICES = 32, 18
ALL, EVERY_OTHER = slice(None), slice(None, None, 2)
UNTOLD = {"arterial": "Abdomen 5.0", "venous": "Abdomen 5.0"}


@pytest.fixture(scope="module")
def phantom():
    shape = (NUM_SLICES, SIZE, SIZE)
    return make(0, shape=shape, spacing_mm=(4, 12, 12), tumor_diameter_mm=None)


@pytest.fixture
def study(tmp_path, phantom):
    return write_dicom_study(
        tmp_path / "cohort" / "MILLER",
        phantom,
        localizer=True,
        coronal=True,
        dose_page=True,
        report=True,
    )


def write(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        nifti.write(path, Volume(hu((4, 5, 6)), (1, 1, 1), (0, 0, 0), CANONICAL_DIRECTION))


def rewrite(folder, **tags):
    """Change tags of every file of a folder; a function is given the old value."""
    for path in (path for path in folder.rglob("*") if path.is_file()):
        ds = pydicom.dcmread(path)
        for tag, value in tags.items():
            setattr(ds, tag, value(getattr(ds, tag)) if callable(value) else value)
        ds.save_as(path)


def add_series(study, source, name, *, kept=ALL, **tags):
    """Another reconstruction of a series of a study, or some of its slices."""
    folder = shutil.copytree(study / source, study / name)
    paths = sorted(folder.iterdir())
    for path in {*paths} - {*paths[kept]}:
        path.unlink()
    rewrite(
        folder,
        SeriesInstanceUID=generate_uid(entropy_srcs=[name]),
        SOPInstanceUID=lambda uid: generate_uid(entropy_srcs=[name, uid]),
        **tags,
    )


def only_pair(path):
    (pair,), skipped = find_pairs(path)
    assert not any(file.is_broken for file in skipped)
    return pair


def series(pair):
    return {phase: scan.path.name for phase, scan in pair.scans.items()}


def test_channels_of_an_nnunet_folder_are_the_phases_of_registered_pairs(tmp_path):
    write(*(tmp_path / "a" / f"P1_000{channel}.nii.gz" for channel in (0, 1)))
    pair = only_pair(tmp_path)
    assert (pair.id, pair.is_registered, pair.notes) == ("a_P1", True, ())
    assert series(pair) == {"arterial": "P1_0000.nii.gz", "venous": "P1_0001.nii.gz"}
    assert pair.path == pair.reference.path == tmp_path / "a" / "P1_0001.nii.gz"


def test_any_other_file_is_a_venous_scan_by_itself(tmp_path):
    write(tmp_path / "x.nii.gz", tmp_path / "y_0000.nii.gz", tmp_path / "z_0001.nii.gz")
    pairs, skipped = find_pairs(tmp_path)
    assert [(pair.id, [*pair.scans]) for pair in pairs] == [
        (name, ["venous"]) for name in ("x", "y", "z")
    ]
    assert not skipped
    assert not any(pair.is_registered for pair in pairs)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["CT", "CT"], {"arterial": "P1_0000.nii.gz", "venous": "P1_0001.nii.gz"}),
        (["venous CT", "arterial CT"], {"venous": "P1_0000.nii.gz", "arterial": "P1_0001.nii.gz"}),
        (["late arterial"], {"arterial": "P1_0000.nii.gz"}),
        (["CT"], {"venous": "P1_0000.nii.gz"}),
    ],
)
def test_a_data_set_tells_the_phases_of_its_channels(tmp_path, names, expected):
    write(*(tmp_path / "imagesTr" / f"P1_{n:04d}.nii.gz" for n in range(len(names))))
    write(tmp_path / "labelsTr" / "P1.nii.gz")
    described = {"channel_names": {str(n): name for n, name in enumerate(names)}}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    pair = only_pair(tmp_path)
    assert (pair.id, series(pair)) == ("P1", expected)
    assert pair.is_told == (names != ["CT"])
    assert pair.path.name == expected.get("venous", "P1_0000.nii.gz")


def test_channels_that_are_no_phases_are_refused(tmp_path):
    write(tmp_path / "imagesTr" / "P1_0000.nii.gz")
    described = {"channel_names": {"0": "arterial", "1": "arterial late"}}
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(InputError, match="channels must be an arterial and a venous phase"):
        find_pairs(tmp_path)


def test_a_channel_of_another_modality_is_taken_for_no_phase(tmp_path):
    path = tmp_path / "dataset.json"
    write(tmp_path / "imagesTr" / "P1_0000.nii.gz", tmp_path / "imagesTr" / "P1_0001.nii.gz")
    path.write_text(json.dumps({"channel_names": {"0": "PET", "1": "CT"}}))
    with refused(path, ["PET"], hint="alone"):
        find_pairs(tmp_path)
    with refused(path, ["PET"], hint="alone"):
        phases_of(["PET", "CT"], path)
    with refused(path, ["MR"], hint="alone"):
        phases_of(["MR"], path)


def test_the_answer_is_on_the_grid_of_what_is_seen(study, tmp_path):
    pair = only_pair(study)
    assert pair.seen_in(["arterial", "venous"]).path == pair.seen_in(["venous"]).path == pair.path
    arterial = pair.seen_in(["arterial"])
    assert arterial.path == arterial.reference.path == study / "SE002"
    assert series(arterial) == series(pair)


def test_a_scan_that_nothing_tells_the_phase_of_is_what_is_seen(tmp_path, study):
    write(tmp_path / "x" / "x.nii.gz")
    alone = only_pair(tmp_path / "x").seen_in(["arterial"])
    assert [*alone.scans] == ["arterial"]
    assert alone.notes == ("taken for the arterial phase, the only one that is looked at",)
    named = pair_of(None, tmp_path / "x" / "x.nii.gz").seen_in(["arterial"])
    shutil.rmtree(study / "SE002")
    for told in (named, only_pair(study).seen_in(["arterial"])):
        assert [*told.scans] == ["venous"]
        assert told.path == told.scans["venous"].path


def test_a_file_with_the_name_of_an_examination_is_another_one(tmp_path):
    write(*(tmp_path / f"{name}.nii.gz" for name in ("P1", "P1_0000", "P1_0001")))
    pairs, _ = find_pairs(tmp_path)
    assert [(pair.id, len(pair.scans)) for pair in pairs] == [("P1", 1), ("P1-2", 2)]


@pytest.mark.parametrize("channel", [0, 1])
def test_a_broken_half_stands_for_its_examination(tmp_path, channel):
    write(*(tmp_path / "a" / f"{c}_000{k}.nii.gz" for c in ("P1", "P2") for k in (0, 1)))
    write(tmp_path / "a" / "P1.nii.gz", tmp_path / "b" / "P1_0001.nii.gz")
    half = tmp_path / "a" / f"P1_000{channel}.nii.gz"
    half.write_bytes(b"")
    pairs, skipped = find_pairs(tmp_path)
    assert [pair.id for pair in pairs] == ["a_P1", "a_P2", "b_P1"]
    assert pairs[0].path.name == "P1.nii.gz"
    assert [file.path for file in skipped if file.is_broken] == [half]


def test_a_study_is_one_examination_of_two_phases(study):
    pair = only_pair(study.parent)
    assert (pair.id, pair.path, pair.is_registered) == ("MILLER", study / "SE003", False)
    assert series(pair) == {"arterial": "SE002", "venous": "SE003"}
    assert pair.notes == (
        "arterial: MILLER_SE002 (series description), 18 slices of 4.0 mm",
        "venous: MILLER_SE003 (series description), 18 slices of 4.0 mm",
        "not used: MILLER_SE004 (coronal reformat)",
    )


@pytest.fixture(scope="module")
def patient():
    """As small as can be with liver and aorta that show a phase."""
    return make(0, shape=(16, 128, 128), spacing_mm=(6, 3, 3), tumor_diameter_mm=None)


def test_without_words_times_tell_the_phases_and_without_times_the_image(tmp_path, patient):
    folder = write_dicom_study(tmp_path / "venous CT", patient, names=UNTOLD)
    pair = only_pair(folder)
    assert series(pair) == {"arterial": "SE002", "venous": "SE003"}
    assert "(40 s after injection)" in pair.notes[0]
    rewrite(folder, ContrastBolusStartTime="")
    for path in folder.rglob("*.dcm"):  # both series in one folder, whose name then tells nothing
        path.rename(folder / f"{path.parent.name}_{path.name}")
    pair = only_pair(folder)
    first = {phase: scan.files[0].name for phase, scan in pair.scans.items()}
    assert first == {"arterial": "SE002_IM00016.dcm", "venous": "SE003_IM00016.dcm"}
    assert "(image: liver" in pair.notes[1]


@pytest.mark.parametrize(
    "worse",
    [
        {"kept": EVERY_OTHER, "SliceThickness": 8},
        {"kept": EVERY_OTHER, "SliceThickness": 1},  # thin, with gaps
        {"kept": slice(1, None)},
        {"SliceThickness": 5},
        {"ConvolutionKernel": "LUNG", "SliceThickness": 1},
        {"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]},
        {"SeriesDescription": "venous MIP"},
        {},
    ],
)
def test_of_several_reconstructions_the_best_is_taken_whatever_the_order(study, worse):
    for name in ("SE000", "SE009") if worse else ("SE009",):
        add_series(study, "SE003", name, **worse)
    pair = only_pair(study)
    assert series(pair) == {"arterial": "SE002", "venous": "SE003"}
    reason = (
        "projection through slices" if "SeriesDescription" in worse else "another venous series"
    )
    assert f"SE009 ({reason})" in pair.notes[-1]


def test_a_series_of_the_chest_or_one_that_is_damaged_is_not_taken(tmp_path, patient):
    study = write_dicom_study(tmp_path / "p", patient)
    nothing = bytes(2 * 128 * 128)
    add_series(study, "SE003", "SE008", SliceThickness=1, PixelData=nothing)
    add_series(study, "SE003", "SE009", ImageType=["DERIVED", "SECONDARY", "AXIAL"])
    assert series(only_pair(study)) == {"arterial": "SE002", "venous": "SE003"}
    scans, _ = find_scans(study)
    file = study / "SE003" / "IM00004.dcm"  # damaged where headers do not show it
    file.write_bytes(file.read_bytes()[:-20])
    assert choose(scans).scans["venous"].path == study / "SE009"


def test_thick_slices_are_better_than_none(study):
    shutil.rmtree(study / "SE003")
    add_series(
        study, "SE002", "SE005", kept=EVERY_OTHER, SeriesDescription="Venous", SliceThickness=8
    )
    pair = only_pair(study)
    assert series(pair) == {"arterial": "SE002", "venous": "SE005"}
    assert pair.notes[1].endswith("9 slices of 8.0 mm")
    add_series(study, "SE002", "SE006", SeriesDescription="Venous", ConvolutionKernel="BONE")
    assert series(only_pair(study))["venous"] == "SE006"


def test_other_phases_are_not_used(study):
    add_series(study, "SE003", "SE008", SeriesDescription="Abdomen nativ")
    add_series(study, "SE003", "SE009", SeriesDescription="Late phase")
    pair = only_pair(study)
    assert series(pair) == {"arterial": "SE002", "venous": "SE003"}
    assert "SE008 (native series), SE009 (delayed series)" in pair.notes[-1]


@pytest.mark.parametrize(("gone", "left"), [("SE002", "venous"), ("SE003", "arterial")])
def test_a_phase_may_be_absent(study, gone, left):
    shutil.rmtree(study / gone)
    pair = only_pair(study)
    assert [*pair.scans] == [left]
    assert pair.reference.path == pair.path


def test_two_studies_of_a_patient_are_two_examinations(tmp_path, phantom):
    for year in ("2019", "2020"):
        write_dicom_study(tmp_path / "MILLER" / year, phantom)
    rewrite(
        tmp_path / "MILLER" / "2020",
        **{
            tag: lambda uid: generate_uid(entropy_srcs=[uid])
            for tag in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        },
    )
    pairs, _ = find_pairs(tmp_path / "MILLER")
    assert [pair.id for pair in pairs] == ["2019", "2020"]
    for pair in pairs:
        assert series(pair) == {"arterial": "SE002", "venous": "SE003"}
        assert {scan.path.parent.name for scan in pair.scans.values()} == {pair.id}


def test_patients_that_share_a_study_or_name_none_are_kept_apart(study):
    rewrite(study / "SE003", PatientID="another")
    pairs, _ = find_pairs(study)
    assert [series(pair) for pair in pairs] == [{"arterial": "SE002"}, {"venous": "SE003"}]
    rewrite(study, PatientID="", StudyInstanceUID="")
    pairs, _ = find_pairs(study)
    assert [series(pair)["venous"] for pair in pairs] == ["SE002", "SE003", "SE004"]


def test_a_study_without_a_phase_that_can_be_told_has_failed(study, tmp_path):
    rewrite(study, SeriesDescription="Abdomen", ContrastBolusStartTime="", AcquisitionTime="")
    write(tmp_path / "cohort" / "x.nii.gz")
    (pair,), skipped = find_pairs(study.parent)
    assert pair.id == "x"
    (failed,) = [file for file in skipped if file.is_broken]
    assert failed.path == study
    assert failed.reason == (
        "neither the arterial nor the venous phase is found: MILLER_SE002 (unknown series), "
        "MILLER_SE003 (unknown series), MILLER_SE004 (coronal reformat); "
        "name the two series with --arterial and --venous"
    )
    assert find_pairs(study)[0] == []


def test_the_only_axial_series_is_the_venous_one_where_nothing_tells(study):
    shutil.rmtree(study / "SE002")
    rewrite(study, SeriesDescription="Abdomen", ContrastBolusStartTime="")
    pair = only_pair(study)
    assert series(pair) == {"venous": "SE003"}
    assert pair.notes == (
        "venous: SE003 (the only axial series), 18 slices of 4.0 mm",
        "not used: SE004 (coronal reformat)",
    )


def test_a_series_alone_is_the_venous_one_and_doubt_is_noted(tmp_path):
    save(tmp_path / "p" / "SE1", slices(SeriesDescription="Abdomen"))
    pair = only_pair(tmp_path / "p")
    assert (pair.id, series(pair), pair.notes) == ("SE1", {"venous": "SE1"}, ())
    rewrite(tmp_path / "p", SeriesDescription="arterial")
    pair = only_pair(tmp_path / "p")
    assert series(pair) == {"venous": "SE1"}
    note = "SE1 is alone and taken for the venous phase, but arterial (series description)"
    assert pair.notes == (note,)


def test_a_zipped_study_is_what_its_folder_is(study):
    plain = only_pair(study)
    shutil.make_archive(str(study), "zip", study)
    zipped = only_pair(study.with_suffix(".zip"))
    assert (zipped.id, zipped.notes) == (plain.id, plain.notes)
    assert series(zipped) == series(plain)


def test_two_scans_that_a_user_names_are_a_pair_that_is_not_registered(study):
    pair = pair_of(study / "SE002", study / "SE003")
    assert series(pair) == {"arterial": "SE002", "venous": "SE003"}
    assert (pair.path, pair.is_registered, pair.notes) == (study / "SE003", False, ())
    assert [*pair_of(None, study / "SE003").scans] == ["venous"]


def test_a_folder_of_several_series_is_no_scan_of_a_phase(study):
    with pytest.raises(InputError, match=r"MILLER.*holds 3 scans where one is.*arterial series"):
        pair_of(study, study / "SE003")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="the folder is empty"):
        find_pairs(tmp_path)


@pytest.mark.parametrize("stem", ["P1", "P" * 240, "患者" * 40, "Jose\u0301"])
def test_cases_of_one_name_in_several_folders_are_several_pairs(tmp_path, stem):
    phases = [f"{stem}_000{channel}.nii.gz" for channel in (0, 1)]
    write(*(tmp_path / folder / name for folder in "ab" for name in phases))
    pairs, skipped = find_pairs(tmp_path)
    assert [{s.path.parent.name for s in pair.scans.values()} for pair in pairs] == [{"a"}, {"b"}]
    assert [series(pair) for pair in pairs] == [{"arterial": phases[0], "venous": phases[1]}] * 2
    assert len({pair.id for pair in pairs}) == 2
    assert not skipped


def test_a_folder_and_a_name_that_would_give_one_id_are_not_one_pair(tmp_path):
    write(tmp_path / "a" / "b_0000.nii.gz", tmp_path / "a_b_0001.nii.gz")
    pairs, _ = find_pairs(tmp_path)
    assert [series(pair) for pair in pairs] == [
        {"venous": "b_0000.nii.gz"},
        {"venous": "a_b_0001.nii.gz"},
    ]
