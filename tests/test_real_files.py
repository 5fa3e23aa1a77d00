"""Files that installed packages bring along: each is read, or says why not."""

import pytest

from tests.real_files import collections, count

PACKAGES = dict(collections([]))


@pytest.mark.parametrize("name", PACKAGES)
def test_every_file_inside_a_package_ends_in_one_bucket(name):
    counts = count(PACKAGES[name])
    ends = counts.in_scans + counts.pictures + counts.skipped + counts.errors
    assert counts.files == ends > 0


def test_every_real_file_ends_in_one_bucket(shared_data):
    for name, root in collections([shared_data]):
        counts = count(root)
        ends = counts.in_scans + counts.pictures + counts.skipped + counts.errors
        assert counts.files == ends > 0, name
