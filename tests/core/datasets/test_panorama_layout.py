"""PANORAMA as it comes: batches, a checkout of labels, headers of every kind, and its overlap."""

import shutil

import numpy as np
import pytest

from core.datasets.git import commit_of
from core.datasets.label_names import LabelNames
from core.datasets.pancreas import DUCT, PANCREAS, TUMOR
from core.datasets.pancreas_cases import read_pancreas, read_pancreas_sets
from core.volume import canonical
from tests.core.datasets.public import box, image, panorama_ids, save, write_panorama, write_table
from tests.refusals import refused

# Files of the official labels: dtype, axes, codes of qform and sform, obliquity.
HEADERS = {
    "float64 of Siemens": {"axes": "LPS"},
    "MSD": {"axes": "RAS", "codes": (1, 1)},
    "NIH": {"axes": "LAI", "codes": (1, 0)},
    "a coronal stack": {"axes": "LIP", "codes": (2, 0)},
    "qform alone": {"axes": "LPS", "codes": (1, 0)},
    "aligned qform": {"axes": "LPS", "codes": (2, 2)},
    "oblique": {"axes": "LPS", "oblique_deg": 0.6},
}
OURS = {1: TUMOR, 4: PANCREAS}


def truth(duct: int) -> np.ndarray:
    """What `write_panorama` draws, in our ids, canonical."""
    table = np.zeros(7, np.uint8)
    for id_, ours in {**OURS, 5: duct}.items():
        table[id_] = ours
    return as_canonical(table[panorama_ids()])


def as_canonical(array: np.ndarray) -> np.ndarray:
    """From (right, front, head) to (d, h, w) that run to the head, the back and the left."""
    return array[::-1, ::-1].transpose(2, 1, 0)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize("duct", [False, True])
def test_any_header_gives_the_same_voxels(tmp_path, header, duct):
    write_panorama(tmp_path, "100000_00001", **header)
    (case,) = read_pancreas(tmp_path, duct=duct).cases
    ct, label = map(canonical, case.read())
    np.testing.assert_array_equal(ct.array, as_canonical(image(0)))
    np.testing.assert_array_equal(label.array, truth(DUCT if duct else PANCREAS))
    assert case.phase == "venous"


def test_batches_subfolders_and_a_manual_label_before_an_automatic_one(tmp_path):
    write_panorama(tmp_path, "100000_00001", "batch_1", seed=1)
    write_panorama(tmp_path, "100000_00002", "batch_3/batch_3", seed=2)
    manual = tmp_path / "panorama_labels/manual_labels/100000_00001.nii.gz"
    save(manual, box(2, 4), dtype=np.uint16)
    first, second = read_pancreas(tmp_path).cases
    assert (first.patient, second.patient) == ("100000", "100000")
    assert manual in first.files
    np.testing.assert_array_equal(
        canonical(first.read_label()).array, as_canonical(box(2, 4) * TUMOR)
    )
    assert second.image == tmp_path / "batch_3/batch_3/100000_00002_0000.nii.gz"


def test_what_is_not_used_has_its_reason(tmp_path):
    for case in ("100000_00001", "100001_00001", "100002_00001"):
        write_panorama(tmp_path, case)
    labels = tmp_path / "panorama_labels/automatic_labels"
    (labels / "100001_00001.nii.gz").unlink()
    (tmp_path / "batch_1/100002_00001_0000.nii.gz").unlink()
    (tmp_path / "batch_2").mkdir()
    shutil.copy(tmp_path / "batch_1/100000_00001_0000.nii.gz", tmp_path / "batch_2")
    save(tmp_path / "batch_1/notes.nii.gz", image(0))
    data = read_pancreas(tmp_path)
    assert [case.id for case in data.cases] == ["100000_00001"]
    assert {s.path.name: (s.reason.split(" of ")[0], s.is_broken) for s in data.skipped} == {
        "100001_00001_0000.nii.gz": ("has no label", False),
        "notes.nii.gz": ("not named <patient>_<study>_0000.nii.gz", False),
        "100000_00001_0000.nii.gz": ("has the name", True),
        "100002_00001.nii.gz": ("its image is not there", False),
    }


def test_an_empty_label_costs_its_case_alone(tmp_path):
    write_panorama(tmp_path, "100051_00001")
    path = tmp_path / "panorama_labels/automatic_labels/100051_00001.nii.gz"
    path.write_bytes(b"")
    (case,) = read_pancreas(tmp_path).cases
    with refused(path, "the file is empty", hint="again"):
        case.read()


def test_cases_of_msd_and_nih_are_left_out_on_request(tmp_path):
    levels = {"100000_00001": "radiology", "100009_00001": "MSD_dataset"}
    levels["100015_00001"] = "NIH_dataset"
    for seed, case in enumerate(levels):
        write_panorama(tmp_path, case, seed=seed)
    write_table(tmp_path, *((case, "non-PDAC", level) for case, level in levels.items()))
    assert [case.id for case in read_pancreas(tmp_path).cases] == list(levels)
    data = read_pancreas(tmp_path, exclude_overlap=True)
    assert [case.id for case in data.cases] == ["100000_00001"]
    assert [(s.path.name[:6], s.reason, s.is_broken) for s in data.skipped] == [
        ("100009", "is in MSD Task07_Pancreas as well", False),
        ("100015", "is in NIH Pancreas-CT as well", False),
    ]


def test_the_overlap_is_not_guessed(tmp_path):
    write_panorama(tmp_path, "100000_00001")
    hint = "fetch it from panorama_labels"
    with refused(tmp_path, "--exclude-overlap needs the column level", hint=hint):
        read_pancreas(tmp_path, exclude_overlap=True)
    write_table(tmp_path, ("100001_00001", "PDAC", "radiology"))
    table = tmp_path / "panorama_labels/clinical_information.csv"
    with refused(table, "does not know 100000_00001, so", hint="fetch the table anew"):
        read_pancreas(tmp_path, exclude_overlap=True)


def test_a_flag_about_the_overlap_wants_panorama(tmp_path):
    save(tmp_path / "s0001/ct.nii.gz", image(0))
    save(tmp_path / "s0001/segmentations/pancreas.nii.gz", box(2, 5))
    with refused(tmp_path, "is not PANORAMA", hint="leave the flag out"):
        read_pancreas_sets([tmp_path], labels=LabelNames(), exclude_overlap=True)


@pytest.mark.parametrize("is_packed", [False, True])
def test_the_commit_of_the_labels_is_recorded(tmp_path, is_packed):
    write_panorama(tmp_path, "100000_00001")
    assert read_pancreas(tmp_path).provenance == {}
    git = tmp_path / "panorama_labels/.git"
    (git / "refs/heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    if is_packed:
        (git / "packed-refs").write_text("# pack-refs\n0123abc refs/heads/main\n")
    else:
        (git / "refs/heads/main").write_text("0123abc\n")
    assert read_pancreas(tmp_path).provenance == {"label_commit": "0123abc"}


def test_a_commit_may_be_checked_out_by_itself_and_a_repository_may_have_none(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("89ab\n")
    assert commit_of(tmp_path) == "89ab"
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path) is None
