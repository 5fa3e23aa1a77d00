import os
import resource

import numpy as np
import pytest

from core.data.cache import is_current, open_case, source_of, write_case
from core.data.patches import extract
from tests.refusals import refused

IMAGE = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
ARRAYS = {"image": IMAGE, "label": (IMAGE % 3).astype(np.uint8), "voxels": np.zeros((0, 3), int)}
META = {"mean": -12.5, "spacing_mm": [1.0, 0.5, 0.5], "patient": "p"}


def test_an_opened_case_is_the_one_written(tmp_path):
    write_case(tmp_path, "a", ARRAYS, META, source="s")
    case = open_case(tmp_path, "a")
    assert (case.id, case.source, case.meta) == ("a", "s", META)
    assert list(case.arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        stored = case.arrays[name]
        assert (stored.shape, stored.dtype, stored.ndim) == (array.shape, array.dtype, array.ndim)
        assert len(stored) == len(array)
        np.testing.assert_array_equal(stored, array)


def test_patches_of_a_disk_array_are_those_of_the_array(tmp_path):
    write_case(tmp_path, "a", ARRAYS, META, source="s")
    image = open_case(tmp_path, "a").arrays["image"]
    for start in [(0, 0, 0), (-1, 2, 5), (3, 3, 3)]:
        expected = extract(IMAGE, start, (4, 4, 4), -9)
        np.testing.assert_array_equal(extract(image, start, (4, 4, 4), -9), expected)
    assert image[1, 2, 3] == IMAGE[1, 2, 3]


def test_arrays_in_another_memory_order_come_back_in_c_order(tmp_path):
    write_case(tmp_path, "a", {"image": IMAGE.T}, {}, source="s")
    image = open_case(tmp_path, "a").arrays["image"]
    np.testing.assert_array_equal(image, IMAGE.T)
    assert image[...].flags.c_contiguous


def test_a_cached_array_cannot_be_written_to(tmp_path):
    write_case(tmp_path, "a", ARRAYS, META, source="s")
    with pytest.raises(ValueError, match="read-only"):
        open_case(tmp_path, "a").arrays["image"][:2][...] = 0


def test_more_cases_than_files_may_be_open(tmp_path):
    write_case(tmp_path, "a", ARRAYS, META, source="s")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, limits[1]))
    try:
        cases = [open_case(tmp_path, "a") for _ in range(50)]
        patches = [case.arrays["image"][1:3].sum() for case in cases]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert set(patches) == {IMAGE[1:3].sum()}


def test_writing_again_replaces_the_case(tmp_path):
    write_case(tmp_path, "a", ARRAYS, META, source="old")
    write_case(tmp_path, "a", {"image": IMAGE + 1}, {}, source="new")
    assert list(open_case(tmp_path, "a").arrays) == ["image"]
    assert is_current(tmp_path, "a", "new")
    assert not is_current(tmp_path, "a", "old")


def test_a_failure_while_writing_leaves_the_case_as_it_was(tmp_path):
    write_case(tmp_path, "a", ARRAYS, META, source="old")
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_case(tmp_path, "a", {"image": np.array([None])}, {}, source="new")
    assert is_current(tmp_path, "a", "old")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_source_changes_with_the_name_the_size_and_the_time(tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(b"1234")
    os.utime(path, ns=(5, 5))
    identities = {source_of([path])}
    os.utime(path, ns=(5, 6))
    identities.add(source_of([path]))
    path.write_bytes(b"12345")
    os.utime(path, ns=(5, 5))
    identities.add(source_of([path]))
    identities.add(source_of([path.rename(tmp_path / "other.nii.gz")]))
    assert len(identities) == 4


def test_the_source_does_not_depend_on_the_order_or_the_folder(tmp_path):
    paths = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for name in ("1.dcm", "2.dcm"):
            path = tmp_path / folder / name
            path.write_bytes(b"x")
            os.utime(path, ns=(7, 7))
            paths.append(path)
    assert source_of(paths[:2]) == source_of(paths[:1:-1])


def test_a_missing_source_is_refused(tmp_path):
    with refused(tmp_path / "gone.nii", "No such file"):
        source_of([tmp_path / "gone.nii"])


def test_a_case_that_is_not_there_is_refused(tmp_path):
    with refused(tmp_path / "a", "no prepared case", hint="prepare"):
        open_case(tmp_path, "a")
    assert not is_current(tmp_path, "a", "s")


@pytest.mark.parametrize("name", ["image.npy", "case.json"])
def test_a_damaged_case_is_refused(tmp_path, name):
    write_case(tmp_path, "a", ARRAYS, META, source="s")
    (tmp_path / "a" / name).write_bytes(b"{ not what it was")
    assert not is_current(tmp_path, "a", "s")
    with refused(tmp_path / "a", "damaged", hint="prepare"):
        open_case(tmp_path, "a")


@pytest.mark.parametrize("id", ["", "../a", "a/b", ".hidden"])
def test_an_id_that_cannot_name_a_folder_is_refused(tmp_path, id):
    with refused(None, repr(id), hint="rename"):
        write_case(tmp_path, id, ARRAYS, META, source="s")
