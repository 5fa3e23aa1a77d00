"""A hundred thousand files: memory stays bounded, and a killed pass goes on where it stopped."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from core.io.dicom.index import BATCH
from tests.core.io.dicom.make import hu, slices

pytestmark = pytest.mark.slow

NUM_FILES, NUM_SERIES, NUM_SLICES, NUM_REPORTS = 100_000, 20, 100, 3_000
NUM_CT = NUM_SERIES * NUM_SLICES
# A batch of frames, one folder's names, one series and the caches of sqlite are a few MB each;
# a hundred thousand paths with their reasons, held at once, are more than this already.
MAX_GROWTH_MB = 32
FILES_PER_FOLDER = 1000

LOOK = """
import itertools, json, sys
from pathlib import Path
from core.io import inventory

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024

count, content = itertools.count(), inventory._content
inventory._content = lambda path: (next(count), content(path))[1]
before = peak_mb()
with inventory.take_inventory(sys.argv[1], min_slices=8, work=Path(sys.argv[2])) as found:
    sizes = [len(scan.files) for scan in found.scans()]
    reasons = {}
    for file in found.files():
        reasons[file.reason] = reasons.get(file.reason, 0) + 1
    counts = found.counts
growth = peak_mb() - before
print(json.dumps([next(count), growth, counts, sizes, reasons]))
"""


def template():
    """Bytes of a slice, with marks where its numbers go."""
    with io.BytesIO() as file:
        (d,) = slices(hu((1, 2, 2)), SOPInstanceUID="1.9.99999999", SeriesInstanceUID="1.8.88888")
        d.ImagePositionPatient = [-50, -60, 98765.5]
        d.save_as(file, enforce_file_format=True)
        return file.getvalue()


def make(folder):
    """Slices in folders of their own; all else are hard links, which take no space."""
    ct = template()
    for n in range(NUM_CT):
        series, k = divmod(n, NUM_SLICES)
        path = folder / f"ct{series:02d}" / f"I{k:04d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = ct.replace(b"1.9.99999999", b"1.9.1%07d" % n)
        data = data.replace(b"1.8.88888", b"1.8.1%04d" % series)
        path.write_bytes(data.replace(b"98765.5", b"%07.1f" % (2.5 * k)))
    report = ct.replace(b"5.1.4.1.1.2\0", b"5.1.4.1.1.7\0")
    link(folder / "reports", report, NUM_REPORTS)
    link(folder / "notes", b"hello", NUM_FILES - NUM_CT - NUM_REPORTS)
    return folder


def link(folder, content, num_files):
    for n in range(num_files):
        path = folder / f"{n // FILES_PER_FOLDER:03d}" / f"{n:06d}"
        if n % FILES_PER_FOLDER == 0:
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            source = path
        else:
            os.link(source, path)


def start(folder, work):
    command = [sys.executable, "-c", LOOK, str(folder), str(work)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def num_kept(database):
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM files").fetchone()[0]
        except sqlite3.OperationalError:  # the table is still to be made
            return 0


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is told by Linux")
def test_a_killed_pass_goes_on_and_memory_is_bounded(tmp_path):
    folder, work = make(tmp_path / "in"), tmp_path / "work"
    killed = start(folder, work)
    while num_kept(work / "headers.sqlite") < NUM_FILES // 2:
        assert killed.poll() is None
        time.sleep(0.1)
    killed.kill()
    killed.communicate()
    kept = num_kept(work / "headers.sqlite")
    assert NUM_FILES // 2 <= kept < NUM_FILES
    assert kept % BATCH == 0
    output, _ = start(folder, work).communicate()
    num_read, growth_mb, counts, sizes, reasons = json.loads(output)
    assert num_read == NUM_FILES - kept  # nothing twice, nothing lost
    assert counts == {"used": NUM_CT, "skipped": NUM_FILES - NUM_CT, "error": 0}
    assert sizes == [NUM_SLICES] * NUM_SERIES
    assert reasons == {
        "": NUM_CT,
        "Secondary Capture Image Storage, not a CT image": NUM_REPORTS,
        "not a DICOM file": NUM_FILES - NUM_CT - NUM_REPORTS,
    }
    assert growth_mb < MAX_GROWTH_MB
